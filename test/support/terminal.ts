import { execFile, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { eventually } from "./eventually.ts";

const run = promisify(execFile);
const binary = fileURLToPath(new URL("../../bin/run.js", import.meta.url));

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Tests of screens are left out, and say so, where there is no tmux. */
export const hasTmux = spawnSync("tmux", ["-V"]).error === undefined;

/** `cortex` in a terminal that is one: tmux shows what a person would see, and types what a person would type. */
export class Terminal implements AsyncDisposable {
  readonly #server: string;

  private constructor(server: string) {
    this.#server = server;
  }

  static async open(commandLine: readonly string[], options: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal(`cortex-test-${randomUUID()}`);
    const { columns, rows, environment } = options;
    const variables = {
      PATH: process.env["PATH"] ?? "",
      HOME: "/nonexistent",
      LANG: "C.UTF-8",
      ...environment,
    };
    const words = [
      "env",
      "-i",
      "TERM=tmux-256color",
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      binary,
      ...commandLine,
    ];
    // The shell stays, so that what is left behind can be looked at.
    const command = `${words.map(quoted).join(" ")}; echo "ended with $?"; exec cat`;
    await terminal.#tmux([
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-s",
      "s",
      "-x",
      String(columns),
      "-y",
      String(rows),
      command,
    ]);
    return terminal;
  }

  /** Names as tmux has them (`Enter`, `C-c`, `Down`); other words are typed. */
  async press(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#tmux(["send-keys", "-t", "s", key]);
  }

  async type(text: string): Promise<void> {
    await this.#tmux(["send-keys", "-t", "s", "-l", text]);
  }

  /** What it shows now, without blanks at the ends of lines. */
  async screen(): Promise<string> {
    const { stdout } = await this.#tmux(["capture-pane", "-p", "-t", "s"]);
    return stdout.replaceAll(/ +$/gm, "");
  }

  /** The same with its styles, as sequences of a terminal. */
  async styledScreen(): Promise<string> {
    return (await this.#tmux(["capture-pane", "-p", "-e", "-t", "s"])).stdout;
  }

  /** The screen as soon as it shows that. */
  async shows(pattern: RegExp): Promise<string> {
    let screen = "";
    await eventually(async () => {
      screen = await this.screen();
      if (!pattern.test(screen)) throw new Error(`no ${String(pattern)} in\n${screen}`);
    });
    return screen;
  }

  /** Of `cortex` itself. */
  async processId(): Promise<number> {
    const { stdout } = await this.#tmux(["list-panes", "-F", "#{pane_pid}"]);
    const shell = stdout.trim();
    const children = await readFile(`/proc/${shell}/task/${shell}/children`, "utf8");
    return Number(children.trim().split(" ")[0]);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux(["resize-window", "-t", "s", "-x", String(columns), "-y", String(rows)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux(["kill-server"]).catch(() => undefined);
  }

  async #tmux(words: readonly string[]): Promise<{ readonly stdout: string }> {
    return run("tmux", ["-L", this.#server, ...words]).catch((thrown: unknown) => {
      throw new Error("tmux is needed for tests of terminal screens, and did not do what it should", {
        cause: thrown,
      });
    });
  }
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
