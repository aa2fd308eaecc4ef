import { type ChildProcessByStdio, spawn } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { freePort, freePortsInARow } from "../support/cortex-process.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";

const binary = fileURLToPath(new URL("../../bin/run.js", import.meta.url));

/** Of one command on a machine that is busy. */
const LONGEST_MS = 40_000;

type Shell = ChildProcessByStdio<Writable, Readable, Readable>;

/** A neuron that is given no port has the one that is the first here. */
const programText = (port: number): string => `#!/bin/sh
case "$*" in
  neuron\\ *--port*) ;;
  neuron | neuron\\ --*) set -- "$@" --port ${port} ;;
esac
exec "${process.execPath}" "${binary}" "$@"
`;

export interface Finished {
  readonly exitCode: number;
  readonly output: string;
}

/**
 * A person who types what a page says: one shell for the page, others for what runs on, a home of their own. Pages name the
 * ports that everybody uses; here each has another one, in what is typed and in the files that come of it.
 */
export class ConsoleSession implements AsyncDisposable {
  readonly #home: string;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #shell: Shell;
  readonly #others: Shell[] = [];
  #output = "";
  #watchers: (() => void)[] = [];
  #asked = 0;
  #hasEnded = false;

  private constructor(home: string, ports: ReadonlyMap<string, number>) {
    this.#home = home;
    this.#ports = ports;
    this.#shell = this.#start("exec 2>&1\n");
    this.#shell.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      for (const watcher of this.#watchers) watcher();
    });
    this.#shell.once("close", () => {
      this.#hasEnded = true;
      for (const watcher of this.#watchers) watcher();
    });
  }

  static async open(): Promise<ConsoleSession & AsyncDisposable> {
    const directory = await temporaryDirectory();
    const [neuron, gateway, metrics] = [await freePortsInARow(2), await freePort(), await freePort()];
    const ports = new Map([
      ["13131", neuron],
      ["13132", neuron + 1],
      ["31313", gateway],
      ["31314", metrics],
    ]);
    await mkdir(join(directory.path, "bin"));
    await mkdir(join(directory.path, "work"));
    const program = join(directory.path, "bin", "cortex");
    await writeFile(program, programText(neuron));
    await chmod(program, 0o755);
    const settings = "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n";
    await writeFile(join(directory.path, ".gitconfig"), settings);
    const session = new ConsoleSession(directory.path, ports);
    const { [Symbol.asyncDispose]: close } = session;
    return Object.assign(session, {
      [Symbol.asyncDispose]: async () => {
        await close.call(session);
        await directory[Symbol.asyncDispose]();
      },
    });
  }

  #start(opening: string): Shell {
    const shell = spawn("bash", ["--norc"], {
      cwd: join(this.#home, "work"),
      stdio: ["pipe", "pipe", "pipe"],
      // A group of its own, so that what it has started ends with it.
      detached: true,
      env: {
        PATH: `${join(this.#home, "bin")}:${process.env["PATH"] ?? ""}`,
        HOME: this.#home,
        NO_COLOR: "1",
        LANG: "C.UTF-8",
        CORTEX_GATEWAY_URL: `http://127.0.0.1:${this.#ports.get("31313") ?? 0}`,
      },
    });
    shell.stdin.write(opening);
    return shell;
  }

  /** As it is typed here. */
  #here(text: string): string {
    return text.replaceAll(/\b(?:1313[12]|3131[34])\b/g, (port) => String(this.#ports.get(port)));
  }

  /** Types a command and waits for its end. */
  async run(text: string): Promise<Finished> {
    this.#asked += 1;
    const mark = `end-${this.#asked}`;
    const from = this.#output.length;
    const files = [...this.#ports].map(([port, other]) => `-e 's/\\b${port}\\b/${other}/g'`).join(" ");
    const mend = `find . -name '*.toml' -not -path './.git/*' -exec sed -i ${files} {} +`;
    // Nobody answers: what asks on the terminal has to say how it goes on without.
    this.#shell.stdin.write(
      `{\n${this.#here(text)}\n} </dev/null\n(exit_code=$?; ${mend}; printf '\\n%s %s\\n' ${mark} "$exit_code")\n`,
    );
    const end = new RegExp(`^${mark} (\\d+)\\n`, "m");
    const told = (): string => `${text} does not end: ${this.#output.slice(from)}`;
    const [whole, exitCode] = await this.#comes(() => end.exec(this.#output.slice(from)), told);
    const output = this.#output.slice(from);
    return { exitCode: Number(exitCode), output: output.slice(0, output.indexOf(whole)) };
  }

  /** Starts a command that runs on, in the directory where the page is, and waits for its first line. */
  async start(text: string): Promise<string> {
    const { output: where } = await this.run("pwd");
    const shell = this.#start(`exec 2>&1\ncd ${where.trim()}\nexec ${this.#here(text)}\n`);
    this.#others.push(shell);
    return new Promise((resolve, reject) => {
      let said = "";
      shell.stdout.setEncoding("utf8").on("data", (piece: string) => {
        said += piece;
        const line = /^(?!\{).+\n/m.exec(said);
        if (line !== null) resolve(line[0]);
      });
      shell.once("close", () => {
        reject(new Error(`${text} ended: ${said}`));
      });
    });
  }

  #comes<Found>(look: () => Found | null, told: () => string): Promise<Found> {
    return new Promise((resolve, reject) => {
      const tooLong = setTimeout(() => {
        reject(new Error(told()));
      }, LONGEST_MS);
      const check = (): void => {
        const found = look();
        if (found === null && this.#hasEnded) reject(new Error(`the shell ended: ${this.#output}`));
        if (found === null) return;
        this.#watchers = this.#watchers.filter((watcher) => watcher !== check);
        clearTimeout(tooLong);
        resolve(found);
      };
      this.#watchers.push(check);
      check();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#shell, ...this.#others].map(endGroup));
  }
}

/** The shell and what it has started. */
async function endGroup(shell: Shell): Promise<void> {
  const { pid } = shell;
  if (pid === undefined || shell.exitCode !== null || shell.signalCode !== null) return;
  const closed = new Promise((resolve) => shell.once("close", resolve));
  process.kill(-pid, "SIGTERM");
  await closed;
}
