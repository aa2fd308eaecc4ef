import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { MODEL } from "./scenarios.ts";

export const SECRET = "sk-bench";

/** One process, or one with workers, that answers like a gateway. */
export interface System {
  readonly name: string;
  readonly process: ChildProcess;
  readonly port: number;
}

export interface Pinning {
  /** Of what is measured. */
  readonly system: string;
  /** Of the generator and of the neuron. */
  readonly rest: string;
}

/** Null where the system cannot pin, or has one core only. */
export function pinning(cores: number): Pinning | null {
  if (cores < 2) return null;
  try {
    execFileSync("taskset", ["-acp", "1", String(process.pid)], { stdio: "ignore" });
    return { system: "0", rest: "1" };
  } catch {
    return null;
  }
}

const pinned = (
  core: string | undefined,
  command: readonly string[],
): readonly [string, readonly string[]] => {
  const [program = "", ...argv] = core === undefined ? command : ["taskset", "-c", core, ...command];
  return [program, argv];
};

/** A script of this folder, which prints its port. */
export async function startScript(
  argv: readonly string[],
  core: string | undefined,
): Promise<Omit<System, "name">> {
  const [program, rest] = pinned(core, [process.execPath, ...argv]);
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { process: child, port: Number(line.toString()) };
}

export interface Cortex {
  readonly name: string;
  readonly checkout: string;
  /** Flags of Node before the script. */
  readonly flags: readonly string[];
  /** Of `cortex serve`. */
  readonly options: readonly string[];
}

const fleetToml = (neuronPort: number): string => `[fleet]
name = "bench"
[gateway]
listen = "127.0.0.1:0"
metrics_listen = "127.0.0.1:0"
[[neurons]]
name = "stub"
endpoint = "http://127.0.0.1:${neuronPort}"
[[keys]]
id = "bench"
hash = "sha256:${createHash("sha256").update(SECRET).digest("hex")}"
[[models]]
id = "${MODEL}"
source = "file:/nowhere/demo.gguf"
`;

/** As its systemd unit has it (packaging/systemd/cortex.service). */
const UNIT_ENVIRONMENT = { MALLOC_ARENA_MAX: "1", NODE_OPTIONS: "--max-semi-space-size=8" };

/** Keys, metering, metrics and the log (to a file) are on. */
export async function startCortex(
  { name, checkout, flags, options }: Cortex,
  place: { readonly home: string; readonly neuronPort: number; readonly core: string | undefined },
): Promise<System> {
  const directory = join(place.home, name);
  await mkdir(directory);
  await writeFile(join(directory, "fleet.toml"), fleetToml(place.neuronPort));
  const log = join(place.home, `${name}.log`);
  const run = [
    process.execPath,
    ...flags,
    join(checkout, "bin/run.js"),
    "serve",
    "--config",
    directory,
    ...options,
  ];
  const [program, argv] = pinned(place.core, run);
  const child = spawn(program, argv, {
    stdio: ["ignore", "ignore", openSync(log, "w")],
    env: { ...process.env, ...UNIT_ENVIRONMENT, CORTEX_DATA_DIR: join(place.home, `${name}.data`) },
  });
  for (;;) {
    const port = /"address":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(readFileSync(log, "latin1"))?.[1];
    if (port !== undefined) return { name, process: child, port: Number(port) };
    if (child.exitCode !== null) throw new Error(readFileSync(log, "utf8"));
    await new Promise((done) => setTimeout(done, 20));
  }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
};

const nginxConf = (home: string, port: number, neuronPort: number): string => `daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log ${home}/nginx.error;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${home}/nginx-body;
  proxy_temp_path ${home}/nginx-proxy;
  fastcgi_temp_path ${home}/nginx-fastcgi;
  uwsgi_temp_path ${home}/nginx-uwsgi;
  scgi_temp_path ${home}/nginx-scgi;
  upstream neuron { server 127.0.0.1:${neuronPort}; keepalive 2048; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://neuron;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
      client_body_buffer_size 64k;
    }
  }
}
`;

const NGINX = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"].find((path) => existsSync(path));

/** The far limit: what relaying costs in C. Null where it is not installed. */
export async function startNginx(place: {
  readonly home: string;
  readonly neuronPort: number;
  readonly core: string | undefined;
}): Promise<System | null> {
  if (NGINX === undefined) return null;
  const port = await freePort();
  const conf = join(place.home, "nginx.conf");
  await writeFile(conf, nginxConf(place.home, port, place.neuronPort));
  const [program, argv] = pinned(place.core, [NGINX, "-e", `${place.home}/nginx.error`, "-c", conf]);
  const child = spawn(program, argv, { stdio: "inherit" });
  for (;;) {
    if (child.exitCode !== null) throw new Error("nginx ended");
    const isUp = await fetch(`http://127.0.0.1:${port}/health`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (isUp) return { name: "nginx", process: child, port };
    await new Promise((done) => setTimeout(done, 20));
  }
}

const TICK_MS = 10;

const statOf = (pid: string | number): readonly string[] => {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
};

/** The process and what it has started. */
function familyOf(pid: number): readonly number[] {
  const family = [pid];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (Number(statOf(entry)[1]) === pid) family.push(...familyOf(Number(entry)));
    } catch {
      // It has ended meanwhile.
    }
  }
  return family;
}

export const cpuMs = ({ process: { pid = 0 } }: System): number =>
  familyOf(pid).reduce((sum, member) => {
    const fields = statOf(member);
    return sum + (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }, 0);

export const residentMib = ({ process: { pid = 0 } }: System): number =>
  familyOf(pid).reduce((sum, member) => {
    const status = readFileSync(`/proc/${member}/status`, "latin1");
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }, 0);
