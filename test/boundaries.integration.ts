import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("..", import.meta.url));

const config = createRequire(import.meta.url)("../.dependency-cruiser.cjs") as {
  readonly forbidden: readonly { readonly name: string }[];
};
const RULES = config.forbidden.map(({ name }) => name);

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

const LEAF = "export const leaf = 1;\n";

const importing = (paths: readonly string[]): string =>
  paths
    .map(
      (path, index) =>
        `import * as part${index} from "${path}";\nexport const used${index} = part${index};\n`,
    )
    .join("");

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

/** Writes each file with its imports: a path below `src` or the name of a package; what is imported exists. */
async function plant(files: Readonly<Record<string, readonly string[]>>): Promise<void> {
  for (const [from, imports] of Object.entries(files)) {
    const specifiers = imports.map((path) => {
      if (!path.startsWith("src/")) return path;
      const between = relative(dirname(from), path);
      return between.startsWith(".") ? between : `./${between}`;
    });
    await write(from, importing(specifiers));
    const leaves = imports.filter(
      (path) => path.startsWith("src/") && !path.endsWith("/gone.ts") && files[path] === undefined,
    );
    for (const path of leaves) await write(path, LEAF);
  }
}

/** The rule, the file that breaks it, and the import by which it does. Each row has files of its own. */
const VIOLATIONS: readonly (readonly [rule: string, from: string, to: string])[] = [
  ["area-core", "src/core/a.ts", "src/fleet/leaf.ts"],
  ["area-fleet", "src/fleet/a.ts", "src/protocol/leaf.ts"],
  ["area-protocol", "src/protocol/a.ts", "src/repository/leaf.ts"],
  ["area-manual", "src/manual/a.ts", "src/protocol/leaf.ts"],
  ["area-platform", "src/platform/a.ts", "src/protocol/leaf.ts"],
  ["area-trust", "src/trust/a.ts", "src/fleet/leaf.ts"],
  ["area-repository", "src/repository/a.ts", "src/controller/leaf.ts"],
  ["area-controller", "src/controller/a.ts", "src/neuron/leaf.ts"],
  ["area-controller", "src/controller/io/a.ts", "src/gateway/io/leaf.ts"],
  ["area-neuron", "src/neuron/a.ts", "src/worker/leaf.ts"],
  ["area-neuron", "src/neuron/io/a.ts", "src/worker/engine/io/leaf.ts"],
  ["area-neuron", "src/neuron/io/b.ts", "src/repository/io/leaf.ts"],
  ["area-worker", "src/worker/a.ts", "src/neuron/leaf.ts"],
  ["area-worker", "src/worker/b.ts", "src/fleet/leaf.ts"],
  ["area-gateway", "src/gateway/a.ts", "src/controller/leaf.ts"],
  ["area-gateway", "src/gateway/io/a.ts", "src/demo/leaf.ts"],
  ["area-client", "src/client/a.ts", "src/gateway/leaf.ts"],
  ["area-page", "src/page/a.ts", "src/gateway/leaf.ts"],
  ["area-doctor", "src/doctor/a.ts", "src/gateway/leaf.ts"],
  ["area-demo", "src/demo/a.ts", "src/worker/leaf.ts"],
  ["area-cli", "src/cli/a.ts", "src/neuron/leaf.ts"],

  ["room-protocol-headers", "src/protocol/headers/a.ts", "src/protocol/openai/leaf.ts"],
  ["room-protocol-openai", "src/protocol/openai/a.ts", "src/protocol/leaf.ts"],
  ["room-protocol-declaration", "src/protocol/declaration/a.ts", "src/protocol/leaf.ts"],
  ["room-protocol-trust", "src/protocol/trust/a.ts", "src/protocol/leaf.ts"],
  ["room-protocol-findings", "src/protocol/findings/a.ts", "src/protocol/leaf.ts"],
  ["room-protocol-wire", "src/protocol/wire/a.ts", "src/protocol/leaf.ts"],
  ["room-protocol-refs", "src/protocol/refs/a.ts", "src/protocol/leaf.ts"],
  ["room-fleet-text", "src/fleet/text/a.ts", "src/fleet/schema/leaf.ts"],
  ["room-fleet-schema", "src/fleet/schema/a.ts", "src/fleet/check/leaf.ts"],
  ["room-fleet-schema", "src/fleet/schema/c.ts", "src/fleet/text/leaf.ts"],
  ["room-fleet-check", "src/fleet/check/a.ts", "src/fleet/leaf.ts"],
  ["room-controller-observe", "src/controller/observe/a.ts", "src/controller/intent/leaf.ts"],
  ["room-controller-verify", "src/controller/verify/a.ts", "src/controller/observe/leaf.ts"],
  ["room-controller-intent", "src/controller/intent/a.ts", "src/controller/place/leaf.ts"],
  ["room-controller-schedule", "src/controller/schedule/a.ts", "src/controller/plan/leaf.ts"],
  ["room-controller-adopt", "src/controller/adopt/a.ts", "src/controller/place/leaf.ts"],
  ["room-controller-place", "src/controller/place/a.ts", "src/controller/plan/leaf.ts"],
  ["room-controller-declaration", "src/controller/declaration/a.ts", "src/controller/observe/leaf.ts"],
  ["room-controller-plan", "src/controller/plan/a.ts", "src/controller/apply/leaf.ts"],
  ["room-controller-lock", "src/controller/lock/a.ts", "src/controller/apply/leaf.ts"],
  ["room-controller-history", "src/controller/history/a.ts", "src/controller/plan/leaf.ts"],
  ["room-controller-reconcile", "src/controller/reconcile/a.ts", "src/controller/place/leaf.ts"],
  ["room-controller-apply", "src/controller/apply/io/a.ts", "src/controller/place/leaf.ts"],
  ["room-controller-place-board", "src/controller/place/board/a.ts", "src/controller/place/search/leaf.ts"],
  ["room-controller-place-search", "src/controller/place/search/a.ts", "src/controller/place/prove/leaf.ts"],
  ["room-controller-place-prove", "src/controller/place/prove/a.ts", "src/controller/place/explain/leaf.ts"],
  ["room-controller-place-explain", "src/controller/place/explain/a.ts", "src/controller/place/leaf.ts"],
  [
    "room-controller-adopt-imported",
    "src/controller/adopt/imported/a.ts",
    "src/controller/adopt/peers/leaf.ts",
  ],
  [
    "room-controller-adopt-llama-swap",
    "src/controller/adopt/llama-swap/a.ts",
    "src/controller/adopt/peers/leaf.ts",
  ],
  [
    "room-controller-adopt-helexa",
    "src/controller/adopt/helexa/a.ts",
    "src/controller/adopt/llama-swap/leaf.ts",
  ],
  ["room-controller-adopt-peers", "src/controller/adopt/peers/a.ts", "src/controller/adopt/leaf.ts"],
  ["room-neuron-machine", "src/neuron/machine/a.ts", "src/neuron/model/leaf.ts"],
  ["room-neuron-model", "src/neuron/model/a.ts", "src/neuron/residency/leaf.ts"],
  ["room-neuron-store", "src/neuron/store/a.ts", "src/neuron/residency/leaf.ts"],
  ["room-neuron-store", "src/neuron/store/io/a.ts", "src/neuron/machine/io/leaf.ts"],
  ["room-neuron-residency", "src/neuron/residency/io/a.ts", "src/neuron/io/leaf.ts"],
  ["room-neuron-launch", "src/neuron/launch/io/a.ts", "src/neuron/io/leaf.ts"],
  ["room-neuron-events", "src/neuron/events/io/a.ts", "src/neuron/machine/leaf.ts"],
  ["room-worker-engine", "src/worker/engine/a.ts", "src/worker/answer/leaf.ts"],
  ["room-worker-engine-speculation", "src/worker/engine/speculation/a.ts", "src/worker/engine/leaf.ts"],
  ["room-worker-engine-trial", "src/worker/engine/trial/a.ts", "src/worker/engine/leaf.ts"],
  ["room-worker-scripted", "src/worker/scripted/a.ts", "src/worker/engine/leaf.ts"],
  ["room-worker-external", "src/worker/external/a.ts", "src/worker/engine/leaf.ts"],
  ["room-worker-answer", "src/worker/answer/a.ts", "src/worker/io/leaf.ts"],
  ["room-gateway-front", "src/gateway/front/a.ts", "src/gateway/relay/leaf.ts"],
  ["room-gateway-view", "src/gateway/view/a.ts", "src/gateway/routing/leaf.ts"],
  ["room-gateway-routing", "src/gateway/routing/a.ts", "src/gateway/loading/leaf.ts"],
  ["room-gateway-loading", "src/gateway/loading/io/a.ts", "src/gateway/io/leaf.ts"],
  ["room-gateway-dialect-contract", "src/gateway/dialect/contract/a.ts", "src/gateway/dialect/leaf.ts"],
  ["room-gateway-dialect-anthropic", "src/gateway/dialect/anthropic/a.ts", "src/gateway/dialect/leaf.ts"],
  ["room-gateway-dialect-responses", "src/gateway/dialect/responses/a.ts", "src/gateway/dialect/leaf.ts"],
  ["room-gateway-dialect-ollama", "src/gateway/dialect/ollama/a.ts", "src/gateway/dialect/leaf.ts"],
  ["room-gateway-dialect", "src/gateway/dialect/a.ts", "src/gateway/view/leaf.ts"],
  ["room-gateway-crew", "src/gateway/crew/io/a.ts", "src/gateway/io/leaf.ts"],
  ["room-gateway-keys", "src/gateway/keys/a.ts", "src/gateway/view/leaf.ts"],
  ["room-gateway-page", "src/gateway/page/a.ts", "src/gateway/view/leaf.ts"],
  ["room-gateway-relay", "src/gateway/relay/a.ts", "src/gateway/view/leaf.ts"],

  ["room-client-grammar", "src/client/grammar/a.ts", "src/client/conform/leaf.ts"],
  ["room-client-settings", "src/client/settings/a.ts", "src/client/conform/leaf.ts"],
  ["room-client-measure", "src/client/measure/a.ts", "src/client/conform/leaf.ts"],
  ["room-client-conform", "src/client/conform/a.ts", "src/client/leaf.ts"],
  ["room-cli-flags", "src/cli/flags/a.ts", "src/cli/print/leaf.ts"],
  ["room-cli-print", "src/cli/print/a.ts", "src/cli/view/leaf.ts"],
  ["room-cli-view", "src/cli/view/a.ts", "src/cli/leaf.ts"],
  ["room-cli-shell", "src/cli/shell/a.ts", "src/cli/print/leaf.ts"],
  ["room-cli-screen", "src/cli/screen/a.ts", "src/cli/view/leaf.ts"],
  ["room-cli-tables", "src/cli/tables/a.ts", "src/cli/screen/leaf.ts"],
  ["room-cli-top", "src/cli/top/a.ts", "src/cli/view/leaf.ts"],
  ["room-cli-chat", "src/cli/chat/a.ts", "src/cli/view/leaf.ts"],
  ["room-cli-overview", "src/cli/overview/a.ts", "src/cli/print/leaf.ts"],
  ["nobody-imports-commands", "src/cli/b.ts", "src/commands/leaf.ts"],
  ["commands-are-leaves", "src/commands/a.ts", "src/commands/leaf.ts"],
  ["pure-imports-no-io", "src/neuron/b.ts", "src/neuron/io/leaf.ts"],
  ["pure-imports-no-io", "src/controller/place/search/b.ts", "src/controller/place/io/leaf.ts"],
  ["pure-imports-no-io", "src/gateway/b.ts", "src/platform/leaf.ts"],
  ["pure-imports-no-builtins", "src/gateway/c.ts", "node:fs"],
  ["pure-imports-no-builtins", "src/worker/answer/b.ts", "node:http"],
  ["pure-imports-no-builtins", "src/core/b.ts", "node:fs"],
  ["pure-npm-allow-list", "src/controller/plan/b.ts", "undici"],
  ["pure-npm-allow-list", "src/fleet/check/b.ts", "undici"],
  ["one-room-knows-the-engine", "src/worker/io/a.ts", "node-llama-cpp"],
  ["one-room-knows-the-engine", "src/neuron/io/c.ts", "node-llama-cpp"],
  ["one-room-knows-the-solver", "src/controller/plan/io/a.ts", "highs"],
  ["one-room-knows-ink", "src/cli/view/moving.ts", "ink"],
  ["one-room-knows-cron", "src/controller/reconcile/cron.ts", "croner"],
  ["one-area-knows-x509", "src/neuron/io/certificates.ts", "@peculiar/x509"],
  ["one-room-knows-cron", "src/controller/reconcile/b.ts", "croner"],
  ["nobody-imports-the-page", "src/gateway/io/b.ts", "src/page/leaf.ts"],
  ["the-page-runs-in-a-browser", "src/page/io/a.ts", "node:fs"],
  ["one-room-knows-git", "src/controller/adopt/io/a.ts", "simple-git"],
  ["verifier-shares-no-code", "src/controller/verify/check-anything.ts", "src/controller/observe/leaf.ts"],
  ["verifier-shares-no-code", "src/controller/verify/memory.ts", "src/core/leaf.ts"],
  ["nobody-plans-with-the-verifier", "src/controller/plan/c.ts", "src/controller/verify/leaf.ts"],
  ["one-encoder-of-plans", "src/controller/schedule/b.ts", "src/protocol/plan-document.ts"],
  ["one-encoder-of-plans", "src/controller/plan/encoder.ts", "src/protocol/plan-outlook.ts"],
  ["not-to-unresolvable", "src/core/c.ts", "src/core/gone.ts"],
];

test("each planted violation is reported, and every rule has one", async () => {
  await plant({
    ...Object.fromEntries(VIOLATIONS.map(([, from, to]) => [from, [to]])),
    "src/core/round.ts": ["src/core/trip.ts"],
    "src/core/trip.ts": ["src/core/round.ts"],
  });
  const reported = (await cruise(root)).map(({ rule, from }) => `${rule.name} ${from}`);
  const planted = [...VIOLATIONS, ["no-cycles", "src/core/round.ts"]];
  expect(reported).toEqual(expect.arrayContaining(planted.map(([rule, from]) => `${rule} ${from}`)));
  const names = new Set(planted.map(([rule]) => rule));
  expect(RULES.filter((rule) => !names.has(rule))).toEqual([]);
});

test("what the rules allow passes", async () => {
  await plant({
    "src/fleet/b.ts": ["src/core/a.ts", "zod"],
    "src/fleet/check/b.ts": ["src/fleet/schema/a.ts", "src/fleet/text/a.ts"],
    "src/protocol/c.ts": ["src/fleet/b.ts", "node:crypto"],
    "src/protocol/io/c.ts": ["src/protocol/c.ts", "undici"],
    "src/platform/d.ts": ["src/core/a.ts", "node:fs"],
    "src/repository/io/d.ts": ["src/fleet/b.ts", "src/platform/d.ts", "node:child_process"],
    "src/neuron/e.ts": ["src/protocol/c.ts"],
    "src/neuron/io/f.ts": ["src/neuron/e.ts", "src/platform/d.ts", "undici", "node:http"],
    "src/neuron/residency/io/f.ts": ["src/neuron/model/io/a.ts", "src/neuron/store/io/a.ts"],
    "src/neuron/store/io/f.ts": ["src/neuron/model/a.ts", "undici"],
    "src/worker/engine/io/llama-engine.ts": ["node-llama-cpp"],
    "src/worker/io/main.ts": ["src/worker/answer/a.ts", "src/worker/engine/io/llama-engine.ts"],
    "src/controller/verify/verify-plan.ts": [
      "src/controller/verify/findings.ts",
      "src/protocol/plan-document.ts",
      "node:crypto",
    ],
    "src/controller/plan/io/make-plan.ts": ["src/repository/io/d.ts", "src/controller/place/io/solve.ts"],
    "src/controller/plan/encode-plan.ts": ["src/protocol/plan-document.ts"],
    "src/controller/place/io/solve.ts": ["highs"],
    "src/controller/place/place-models.ts": ["src/controller/place/explain/a.ts"],
    "src/controller/apply/io/apply.ts": ["src/controller/verify/verify-plan.ts"],
    "src/demo/io/g.ts": ["src/neuron/io/f.ts", "src/client/io/a.ts"],
    "src/commands/h.ts": ["src/demo/io/g.ts", "src/cli/a.ts"],
  });
  expect(await cruise(root)).toEqual([]);
});

test("the repository itself has no violation", async () => {
  expect(await cruise(repository)).toEqual([]);
});
