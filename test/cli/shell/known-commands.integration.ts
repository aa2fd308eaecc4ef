import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Config } from "@oclif/core/config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { completionScript, type Shell } from "../../../src/cli/shell/completion-script.ts";
import { knownCommands, type KnownCommand } from "../../../src/cli/shell/known-commands.ts";
import { manPages } from "../../../src/cli/shell/man-page.ts";

const run = promisify(execFile);

let commands: readonly KnownCommand[] = [];
let folder = "";

beforeAll(async () => {
  const config = await Config.load({ root: fileURLToPath(new URL("../../..", import.meta.url)) });
  commands = knownCommands(config.commands);
  folder = await mkdtemp(join(tmpdir(), "cortex-shell-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("--help of every command", () => {
  test("there are commands", () => {
    expect(commands.length).toBeGreaterThan(30);
  });

  test("says in a sentence what it does, and of each flag and argument too", () => {
    const silent = commands.flatMap(({ name, summary, flags, args }) => [
      ...(summary === "" ? [name] : []),
      ...[...flags, ...args].filter((part) => part.summary === "").map((part) => `${name} ${part.name}`),
    ]);
    expect(silent).toEqual([]);
  });

  test("has examples", () => {
    expect(commands.filter(({ examples }) => examples.length === 0).map(({ name }) => name)).toEqual([]);
  });
});

async function completed(...words: readonly string[]): Promise<readonly string[]> {
  const path = join(folder, "completion.bash");
  await writeFile(path, completionScript("bash", commands));
  const script = `
    source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _cortex
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run("bash", ["-c", script, "bash", path, ...words], { cwd: folder });
  return stdout.split("\n").filter((line) => line !== "");
}

describe("completion in bash", () => {
  test.each([
    [["cortex", "reco"], ["reconcile"]],
    [["cortex", "plan", "ver"], ["verify"]],
    [["cortex", "plan", "--markd"], ["--markdown"]],
    [["cortex", "bench", "http://127.0.0.1:31313", "--cl"], ["--clients"]],
    [["cortex", "usage", "--by", "mo"], ["model"]],
    [["cortex", "nothing-such", "--"], []],
  ])("%j", async (words, expected) => {
    expect(await completed(...words)).toEqual(expected);
  });

  test("the first words are all commands", async () => {
    const first = new Set(commands.map(({ name }) => name.split(" ")[0]));
    const shown = (await completed("cortex", "")).filter((word) => first.has(word));
    expect(new Set(shown)).toEqual(first);
  });
});

const isThere = (program: string): Promise<boolean> =>
  run("sh", ["-c", `command -v ${program}`]).then(
    () => true,
    () => false,
  );
const there = new Map(
  await Promise.all(["zsh", "fish", "groff"].map(async (name) => [name, await isThere(name)] as const)),
);

describe.each<Shell>(["zsh", "fish"])("completion in %s", (shell) => {
  test("names every command and flag", () => {
    const script = completionScript(shell, commands);
    const words = new Set(script.split(/[\s"'()]+/));
    const missing = commands.flatMap(({ name, flags }) =>
      [...name.split(" "), ...flags.map((flag) => (shell === "fish" ? flag.name : `--${flag.name}`))].filter(
        (word) => !words.has(word),
      ),
    );
    expect(missing).toEqual([]);
  });

  test.skipIf(there.get(shell) !== true)("is read by the shell without a complaint", async () => {
    const path = join(folder, `completion.${shell}`);
    await writeFile(path, completionScript(shell, commands));
    const { stderr } = await run(shell, ["-n", path]);
    expect(stderr).toBe("");
  });
});

describe("man pages", () => {
  test("there is one for each command, and one for all", () => {
    const pages = manPages(commands, "1.2.3");
    expect(pages.size).toBe(commands.length + 1);
    expect(pages.get("cortex-plan-verify.1")).toContain(".TH CORTEX-PLAN-VERIFY 1");
  });

  test.skipIf(there.get("groff") !== true)("groff sets them without a warning", async () => {
    for (const [name, text] of manPages(commands, "1.2.3")) {
      const path = join(folder, name);
      await writeFile(path, text);
      const { stderr } = await run("groff", ["-man", "-Tutf8", "-ww", "-z", path]);
      expect(stderr).toBe("");
    }
  });
});
