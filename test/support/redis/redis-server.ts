import { endProcess } from "../end-process.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { createClient } from "@redis/client";
import { freePort } from "../cortex-process.ts";
import { eventually } from "../eventually.ts";

/** A server of its own for a test: on loopback, without a file, gone with the test. */
export class RedisServer {
  readonly port: number;
  readonly #path: string;
  readonly #password: string | null;
  readonly #isCluster: boolean;
  #child: ChildProcess | null = null;

  private constructor(
    path: string,
    port: number,
    how: { readonly password: string | null; readonly isCluster: boolean },
  ) {
    const { password, isCluster } = how;
    this.#isCluster = isCluster;
    this.#path = path;
    this.port = port;
    this.#password = password;
  }

  static async start(path: string, password: string | null = null): Promise<RedisServer> {
    const server = new RedisServer(path, await freePort(), { password, isCluster: false });
    await server.run();
    return server;
  }

  /** A server that belongs to a cluster, alone and without a share. */
  static async startOfCluster(path: string): Promise<RedisServer> {
    const server = new RedisServer(path, await freePort(), { password: null, isCluster: true });
    await server.run();
    return server;
  }

  get url(): string {
    return `redis://${this.#password === null ? "" : `:${this.#password}@`}127.0.0.1:${this.port}/0`;
  }

  /** What it held is gone. */
  async run(): Promise<void> {
    const place = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const secret = this.#password === null ? [] : ["--requirepass", this.#password];
    const config = `${tmpdir()}/cortex-test-cluster-${this.port}.conf`;
    const cluster = this.#isCluster ? ["--cluster-enabled", "yes", "--cluster-config-file", config] : [];
    const ports = this.#isCluster ? ["--cluster-port", String(await freePort())] : [];
    const child = spawn(this.#path, [...place, ...secret, ...cluster, ...ports], { stdio: "ignore" });
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    this.#child = child;
    await eventually(async () => {
      const client = createClient({ url: this.url, socket: { reconnectStrategy: false } });
      client.on("error", () => undefined);
      await client.connect();
      client.destroy();
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    await endProcess(child, "SIGKILL");
  }
}
