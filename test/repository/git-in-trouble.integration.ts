import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CortexError } from "../../src/core/errors.ts";
import { readFleet, readFleetAndBase } from "../../src/repository/io/fleet-source.ts";

const ENVIRONMENT = {
  ...process.env,
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  HOME: "/nonexistent",
};
const environment = { inherited: ENVIRONMENT };

let root = "";

const git = (directory: string, ...words: string[]): string =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...words], {
    cwd: join(root, directory),
    env: ENVIRONMENT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();

function commit(file: string, text: string): void {
  writeFileSync(join(root, "origin", file), text);
  git("origin", "add", "--all");
  git("origin", "commit", "--quiet", "--message", file);
}

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "cortex-git-")));
  mkdirSync(join(root, "origin"));
  git("origin", "init", "--quiet", "--initial-branch=main");
  git("origin", "config", "uploadpack.allowFilter", "true");
  commit("fleet.toml", "one");
  commit("fleet.toml", "two");
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function refusal(promise: Promise<unknown>): Promise<CortexError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof CortexError) return thrown;
  throw new Error(`no typed error: ${String(thrown)}`);
}

test("a partial clone whose remote cannot be asked says that it is one, and what to do", async () => {
  git(".", "clone", "--quiet", "--filter=blob:none", `file://${join(root, "origin")}`, "clone");
  const before = { path: join(root, "clone"), ref: "HEAD~1" };
  renameSync(join(root, "origin"), join(root, "moved"));
  const error = await refusal(readFleet(before, environment));
  expect(error.code).toBe("fleet_unreachable");
  expect(error.message).toContain("the clone is partial, and what it lacks could not be fetched");
  expect(error.next).toContain("git fetch --refetch");
  renameSync(join(root, "moved"), join(root, "origin"));
  expect((await readFleet(before, environment)).files.map(({ text }) => text)).toEqual(["one"]);
});

test.each(["cat-file", "ls-tree"])(
  "a git that says nothing (%s) is ended, and that is said",
  async (silent) => {
    const [real = ""] = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).split("\n");
    mkdirSync(join(root, "bin"));
    // Only `read` waits: no process is left behind when the shell is ended.
    const script = `#!/bin/sh\ncase " $* " in *" ${silent} "*) exec 9<>"${root}/pipe"; read -r _ <&9;; esac\nexec "${real}" "$@"\n`;
    execFileSync("mkfifo", [join(root, "pipe")]);
    writeFileSync(join(root, "bin/git"), script);
    chmodSync(join(root, "bin/git"), 0o755);
    const inherited = {
      ...ENVIRONMENT,
      PATH: `${join(root, "bin")}${delimiter}${process.env["PATH"] ?? ""}`,
    };
    const location = { path: join(root, "origin"), ref: "HEAD" };
    const error = await refusal(readFleet(location, { inherited, silenceMs: 300 }));
    expect(error.code).toBe("fleet_unreachable");
    expect(error.message).toContain("it said nothing for too long");
  },
);

test("a shallow clone is named as the cause, of a missing revision and of a missing fork", async () => {
  git("origin", "switch", "--quiet", "--create", "branch", "HEAD~1");
  commit("models.toml", "three");
  const url = `file://${join(root, "origin")}`;
  git(".", "clone", "--quiet", "--depth=1", "--branch=branch", url, "clone");
  const path = join(root, "clone");
  const missing = await refusal(readFleet({ path, ref: "origin/main" }, environment));
  expect(missing.message).toMatch(/has no revision origin\/main: it is a shallow clone/);
  expect(missing.next).toContain("git fetch --unshallow");
  git("clone", "fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main");
  const forkless = await refusal(readFleetAndBase({ path, base: "origin/main" }, environment));
  expect(forkless.code).toBe("fleet_revision_unknown");
  expect(forkless.message).toMatch(
    /does not have the commit where this branch left origin\/main: it is a shallow clone$/,
  );
  git("clone", "fetch", "--quiet", "--unshallow");
  const { base } = await readFleetAndBase({ path, base: "origin/main" }, environment);
  expect(base?.files.map(({ text }) => text)).toEqual(["one"]);
});

test("a revision of four hundred files is read by a handful of processes", async () => {
  for (let count = 0; count < 400; count += 1)
    writeFileSync(join(root, `origin/model-${count}.toml`), `text = "${"ü".repeat(count)}"\n`);
  git("origin", "add", "--all");
  git("origin", "commit", "--quiet", "--message", "many");
  const trace = join(root, "calls");
  const [real = ""] = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).split("\n");
  mkdirSync(join(root, "bin"));
  writeFileSync(join(root, "bin/git"), `#!/bin/sh\necho "$*" >>"${trace}"\nexec "${real}" "$@"\n`);
  chmodSync(join(root, "bin/git"), 0o755);
  const inherited = { ...ENVIRONMENT, PATH: `${join(root, "bin")}${delimiter}${process.env["PATH"] ?? ""}` };
  const path = join(root, "origin");
  const atHead = await readFleet({ path, ref: "HEAD" }, { inherited });
  const calls = execFileSync("wc", ["-l", trace], { encoding: "utf8" });
  expect(Number.parseInt(calls, 10)).toBeLessThan(10);
  expect(atHead.files).toEqual((await readFleet({ path }, environment)).files);
});
