import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("..", import.meta.url));

interface CruiseReport {
  readonly summary: {
    readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string }[];
  };
}

/** The import rules of the repository, run over `root`. */
async function cruise(root: string): Promise<CruiseReport["summary"]["violations"]> {
  const cruiseArguments = [
    join(repository, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs"),
    "--config",
    join(repository, ".dependency-cruiser.cjs"),
    "--output-type",
    "json",
    "src",
  ];
  const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 };
  // The tool exits with the number of violations; the report on stdout is the same either way.
  const stdout = await run(process.execPath, cruiseArguments, options).then(
    (done) => done.stdout,
    (failed: { readonly stdout: string }) => failed.stdout,
  );
  return (JSON.parse(stdout) as CruiseReport).summary.violations;
}

let root = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cortex-boundaries-"));
  await symlink(join(repository, "node_modules"), join(root, "node_modules"));
  await writeFile(
    join(root, "package.json"),
    JSON.stringify({ type: "module", dependencies: { undici: "*", zod: "*" } }),
  );
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function plant(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

const leaf = "export const leaf = 1;\n";
const importing = (...paths: string[]) =>
  paths
    .map(
      (path, index) =>
        `import * as part${index} from "${path}";\nexport const used${index} = part${index};\n`,
    )
    .join("");

test.each([
  ["no-cycles", { "src/core/a.ts": importing("./b.ts"), "src/core/b.ts": importing("./a.ts") }],
  ["core-imports-nothing", { "src/core/a.ts": importing("../fleet/b.ts"), "src/fleet/b.ts": leaf }],
  ["fleet-imports-core", { "src/fleet/a.ts": importing("../protocol/b.ts"), "src/protocol/b.ts": leaf }],
  [
    "protocol-imports-fleet",
    { "src/protocol/a.ts": importing("../platform/b.ts"), "src/platform/b.ts": leaf },
  ],
  [
    "platform-imports-core",
    { "src/platform/a.ts": importing("../protocol/b.ts"), "src/protocol/b.ts": leaf },
  ],
  [
    "areas-are-strangers",
    {
      "src/neuron/a.ts": `import type { b } from "../controller/b.ts";\nexport type A = b;\n`,
      "src/controller/b.ts": "export type b = 1;\n",
    },
  ],
  ["areas-are-strangers", { "src/gateway/io/a.ts": importing("../../neuron/b.ts"), "src/neuron/b.ts": leaf }],
  [
    "local-is-the-only-composer",
    { "src/gateway/io/a.ts": importing("../../local/b.ts"), "src/local/b.ts": leaf },
  ],
  ["pure-never-imports-io", { "src/neuron/a.ts": importing("./io/b.ts"), "src/neuron/io/b.ts": leaf }],
  ["pure-never-imports-builtins", { "src/gateway/a.ts": importing("node:fs") }],
  ["pure-never-imports-builtins", { "src/protocol/a.ts": importing("node:http") }],
  ["pure-npm-allow-list", { "src/controller/a.ts": importing("undici") }],
  ["io-never-imports-the-top", { "src/neuron/io/a.ts": importing("../../cli/b.ts"), "src/cli/b.ts": leaf }],
  ["cli-imports-no-area", { "src/cli/a.ts": importing("../neuron/b.ts"), "src/neuron/b.ts": leaf }],
  ["nobody-imports-commands", { "src/cli/a.ts": importing("../commands/b.ts"), "src/commands/b.ts": leaf }],
  ["one-file-knows-the-engine", { "src/neuron/io/a.ts": importing("node-llama-cpp") }],
  [
    "verifier-shares-no-code",
    {
      "src/controller/verify/verify-plan.ts": importing("./device-room.ts"),
      "src/controller/observe/device-memory.ts": leaf,
    },
  ],
  [
    "verifier-shares-no-code",
    { "src/controller/verify/memory.ts": importing("../core/quantities.ts"), "src/core/quantities.ts": leaf },
  ],
  [
    "nobody-plans-with-the-verifier",
    {
      "src/controller/plan/plan-fleet.ts": importing("./verify-plan.ts"),
      "src/controller/verify/verify-plan.ts": leaf,
    },
  ],
  ["not-to-unresolvable", { "src/core/a.ts": importing("./gone.ts") }],
])("a planted violation of %s is reported", async (rule, files) => {
  await plant(files);
  const violations = await cruise(root);
  expect(violations.map((violation) => violation.rule.name)).toContain(rule);
});

test("what the rules allow passes", async () => {
  await plant({
    "src/core/a.ts": leaf,
    "src/fleet/b.ts": importing("../core/a.ts", "zod"),
    "src/protocol/c.ts": importing("../fleet/b.ts", "node:crypto"),
    "src/platform/d.ts": importing("../core/a.ts", "node:fs"),
    "src/neuron/e.ts": importing("../protocol/c.ts"),
    "src/neuron/io/f.ts": importing("../e.ts", "../../platform/d.ts", "undici", "node:http"),
    "src/worker/engine/io/llama-engine.ts": importing("node-llama-cpp"),
    "src/protocol/plan-document.ts": leaf,
    "src/controller/verify/verify-plan.ts": importing(
      "./verify-findings.ts",
      "../protocol/plan-document.ts",
      "node:crypto",
    ),
    "src/controller/verify/findings.ts": leaf,
    "src/local/io/g.ts": importing("../../neuron/io/f.ts"),
    "src/commands/h.ts": importing("../local/io/g.ts"),
  });
  expect(await cruise(root)).toEqual([]);
});

test("the repository itself has no violation", async () => {
  expect(await cruise(repository)).toEqual([]);
});
