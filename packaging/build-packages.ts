import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { readEnvironment } from "../src/platform/environment.ts";
import { billOfMaterials } from "./bill-of-materials.ts";
import { repository, stageCommand, stageProgram } from "./stage-package.ts";

/*
 * npm run packages [-- --out DIR] [--version V] [--only cortex|cortex-neuron]
 *
 * deb and rpm of the gateway and of the neuron. The same commit gives the same bytes: every time stamp is that of the
 * commit, and nothing comes from elsewhere than the checkout and what the lock file installed.
 */

const NFPM = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0";
const PACKAGES = [
  {
    name: "cortex",
    engines: [],
    docs: [
      "README.md",
      "CHANGELOG.md",
      "docs/fleet-files.md",
      "docs/gitops.md",
      "docs/fleet-certificates.md",
      "docs/errors.md",
    ],
  },
  {
    name: "cortex-neuron",
    engines: ["linux-x64", "linux-x64-cuda", "linux-x64-cuda-ext", "linux-x64-vulkan"],
    docs: [
      "docs/neuron-service.md",
      "docs/model-worker.md",
      "docs/external-engines.md",
      "docs/fleet-certificates.md",
      "docs/errors.md",
    ],
  },
] as const;

/** What a gateway's machine gives for it, installed; so much more would mean that the engine came along. */
const MAX_GATEWAY_BYTES = 150_000_000;

const { values } = parseArgs({
  options: { out: { type: "string" }, version: { type: "string" }, only: { type: "string" } },
});
const out = values.out ?? join(repository, "packages");
const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
const commitSeconds = execFileSync("git", ["log", "-1", "--format=%ct"], {
  cwd: repository,
  encoding: "utf8",
}).trim();
const environment = {
  ...readEnvironment().inherited,
  SOURCE_DATE_EPOCH: commitSeconds,
  ARCH: "amd64",
  VERSION: values.version ?? version,
};
mkdirSync(out, { recursive: true });

for (const { name, engines, docs } of PACKAGES.filter(
  (one) => values.only === undefined || one.name === values.only,
)) {
  const stage = join(out, "stage", name);
  rmSync(stage, { recursive: true, force: true });
  await stageProgram({ folder: join(stage, "usr/lib", name), engines });
  stageCommand(join(stage, "usr/bin", name), `/usr/lib/${name}`);
  for (const path of docs) cpSync(join(repository, path), join(stage, "usr/share/doc", name, basename(path)));
  cpSync(join(repository, "LICENSE"), join(stage, "usr/share/doc", name, "copyright"));
  if (name === "cortex") {
    stageShared(stage);
    requireSmall(stage);
  }
  stampAll(stage);
  writeFileSync(join(out, `${name}.cdx.json`), billOfMaterials(name, join(stage, "usr/lib", name, "app")));
  for (const packager of ["deb", "rpm"]) {
    run(`packaging/nfpm-${name}.yaml`, packager, { ...environment, STAGE: stage });
  }
}
rmSync(join(out, "stage"), { recursive: true, force: true });
writeSums();

/** What one of two packages of one machine may bring: pages of the manual, completion, dashboards. */
function stageShared(stage: string): void {
  const share = join(stage, "usr/share");
  cpSync(join(repository, "dist/man"), join(share, "man/man1"), { recursive: true });
  cpSync(join(repository, "dashboards"), join(share, "cortex/dashboards"), { recursive: true });
  const places = [
    ["bash", "bash-completion/completions/cortex"],
    ["zsh", "zsh/vendor-completions/_cortex"],
    ["fish", "fish/vendor_completions.d/cortex.fish"],
  ] as const;
  for (const [shell, place] of places) {
    const script = execFileSync(process.execPath, ["bin/run.js", "completion", shell], { cwd: repository });
    mkdirSync(dirname(join(share, place)), { recursive: true });
    writeFileSync(join(share, place), script);
  }
}

function requireSmall(stage: string): void {
  const words = execFileSync("du", ["--summarize", "--bytes", stage], { encoding: "utf8" });
  const bytes = Number.parseInt(words, 10);
  if (bytes > MAX_GATEWAY_BYTES)
    throw new Error(`${stage} has ${bytes} bytes, more than ${MAX_GATEWAY_BYTES}`);
}

function run(config: string, packager: string, env: NodeJS.ProcessEnv): void {
  const args = ["package", "--config", config, "--packager", packager, "--target", `${out}/`];
  const options = { cwd: repository, env, stdio: "inherit" } as const;
  const isThere = spawnSync("nfpm", ["--version"], { stdio: "ignore" }).error === undefined;
  if (isThere) execFileSync("nfpm", args, options);
  else execFileSync("go", ["run", NFPM, ...args], options);
}

function stampAll(folder: string): void {
  execFileSync("find", [folder, "-exec", "touch", "--no-dereference", `--date=@${commitSeconds}`, "{}", "+"]);
}

function writeSums(): void {
  const files = readdirSync(out).filter((file) => /\.(deb|rpm|cdx\.json)$/.test(file));
  const lines = files.toSorted().map((file) => {
    const digest = createHash("sha256")
      .update(readFileSync(join(out, file)))
      .digest("hex");
    return `${digest}  ${file}\n`;
  });
  writeFileSync(join(out, "SHA256SUMS"), lines.join(""));
  process.stdout.write(lines.join(""));
}
