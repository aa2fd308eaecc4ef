import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { billOfMaterials } from "./bill-of-materials.ts";
import { repository, stageProgram } from "./stage-package.ts";

/*
 * npm run bundle [-- --out DIR] [--cpu-only] [--part-mib N]
 *
 * One archive for a machine without internet, in parts of at most 60 MiB, with their checksums and the script that
 * puts them together. The same commit gives the same bytes.
 */

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    "cpu-only": { type: "boolean", default: false },
    "part-mib": { type: "string", default: "60" },
  },
});
const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
const name = `cortex-${version}-linux-x64${values["cpu-only"] ? "-cpu" : ""}`;
const out = values.out ?? join(repository, "packages", "bundle");
const stage = join(out, "stage");
const folder = join(stage, name);
const git = (...args: string[]): string =>
  execFileSync("git", args, { cwd: repository, encoding: "utf8" }).trim();

rmSync(out, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await stageProgram({
  folder,
  engines: values["cpu-only"] ? ["linux-x64"] : ["linux-x64", "linux-x64-cuda", "linux-x64-cuda-ext"],
});
writeCommand("cortex", "");
writeCommand("selftest", " selftest");
cpSync(join(repository, "packaging/bundle/README.md"), join(folder, "README.md"));
writeFileSync(join(folder, "contents.cdx.json"), billOfMaterials("cortex-bundle", join(folder, "app")));
archive();
rmSync(stage, { recursive: true, force: true });
const unpack = readFileSync(join(repository, "packaging/bundle/unpack.sh"), "utf8").replaceAll("NAME", name);
writeFileSync(join(out, "unpack.sh"), unpack, { mode: 0o755 });
writeSums();

function writeCommand(file: string, command: string): void {
  const path = join(folder, file);
  const here = '$(cd "$(dirname "$(readlink -f "$0")")" && pwd)';
  writeFileSync(
    path,
    `#!/bin/sh\nhere=${here}\nexec "$here/bin/node" "$here/app/bin/run.js"${command} "$@"\n`,
  );
  chmodSync(path, 0o755);
}

/** In an order, with times and owners that are not this machine's. */
function archive(): void {
  const tar = [
    "tar --create --sort=name --owner=0 --group=0 --numeric-owner",
    `--mtime=@${git("log", "-1", "--format=%ct")} --directory "$STAGE" "$NAME"`,
    "| gzip --no-name",
    '| split --bytes="$PART"M --numeric-suffixes=1 --suffix-length=2 - "$OUT/$NAME.tar.gz."',
  ].join(" ");
  execFileSync("bash", ["-euo", "pipefail", "-c", tar], {
    env: { PATH: "/usr/bin:/bin", STAGE: stage, NAME: name, OUT: out, PART: values["part-mib"] },
    stdio: "inherit",
  });
}

function writeSums(): void {
  const parts = readdirSync(out).filter((file) => file.startsWith(`${name}.tar.gz.`));
  const lines = parts.toSorted().map((file) => {
    const digest = createHash("sha256")
      .update(readFileSync(join(out, file)))
      .digest("hex");
    return `${digest}  ${file}\n`;
  });
  writeFileSync(join(out, "SHA256SUMS"), lines.join(""));
  process.stdout.write(lines.join(""));
}
