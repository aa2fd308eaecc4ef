import { fork, type ChildProcess } from "node:child_process";
import cluster from "node:cluster";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, createServer, get } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ConnectionGiver } from "../../src/gateway/crew/io/connection-giver.ts";

/*
 * How connections get to the processes of one server, three ways: node:cluster (its owner accepts, in turn), SO_REUSEPORT
 * (the system chooses), and the gateway's own door. And what a message between processes costs. Prints a table.
 */

const WORKERS = 2;
const here = fileURLToPath(import.meta.url);
const role = process.env["DOOR_ROLE"];

const answer = createServer((_request, response) => {
  response.end(String(process.env["DOOR_WORKER"] ?? process.pid));
});

interface Doors {
  readonly port: number;
  readonly pids: readonly number[];
  readonly ownerPid: number;
}

const toldTwice = (child: ChildProcess): Promise<unknown[]> => once(child, "message");

/** The owner of a kind of door, in a process of its own, tells where it listens. */
async function runOwner(kind: string): Promise<void> {
  if (kind === "node:cluster") {
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ exec: here });
    const workers = Array.from({ length: WORKERS }, (_, index) =>
      cluster.fork({ DOOR_ROLE: "worker cluster", DOOR_WORKER: String(index) }),
    );
    const ports = await Promise.all(workers.map((worker) => toldTwice(worker.process)));
    process.send?.({ port: Number(ports[0]?.[0]), pids: workers.map((worker) => worker.process.pid) });
    return;
  }
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const workers = Array.from({ length: WORKERS }, (_, index) =>
    fork(here, {
      env: {
        ...process.env,
        DOOR_ROLE: `worker ${kind}`,
        DOOR_WORKER: String(index),
        DOOR_PORT: String(port),
      },
    }),
  );
  await Promise.all(workers.map(toldTwice));
  if (kind === "own") {
    const door = new ConnectionGiver((worker, { id, socket }) => {
      workers[worker]?.send({ id }, socket, { keepOpen: true }, () => undefined);
    });
    for (const [index, worker] of workers.entries()) {
      worker.on("message", (id) => {
        door.heard(0, { kind: "connection-taken", id: Number(id) });
      });
      worker.once("exit", () => {
        door.remove(index);
      });
      door.add(index);
    }
    await door.listen({ host: "127.0.0.1", port });
  }
  process.send?.({ port, pids: workers.map(({ pid }) => pid) });
}

async function runWorker(kind: string): Promise<void> {
  if (kind === "own") {
    process.on("message", ({ id }: { readonly id: number }, socket: Socket) => {
      process.send?.(id);
      socket.setNoDelay(true);
      answer.emit("connection", socket);
    });
    process.send?.(0);
    return;
  }
  answer.listen({
    port: Number(process.env["DOOR_PORT"] ?? 0),
    host: "127.0.0.1",
    ...(kind === "reuse-port" ? { reusePort: true } : {}),
  });
  await once(answer, "listening");
  process.send?.((answer.address() as AddressInfo).port);
}

const TICK_MS = 10;
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const LATE_MS = 2000;
/** Which worker answered, or "late", or "broken". */
type Outcome = string;

/** Which worker answered. */
const askOnce = (port: number, agent: Agent | false): Promise<Outcome> =>
  new Promise((resolve) => {
    const request = get({ port, host: "127.0.0.1", agent }, (response) => {
      let text = "";
      response.setEncoding("latin1").on("data", (part: string) => (text += part));
      response.on("end", () => {
        resolve(text);
      });
      response.on("error", () => {
        resolve("broken");
      });
    });
    request.setTimeout(LATE_MS, () => {
      resolve("late");
      request.destroy();
    });
    request.on("error", () => {
      resolve("broken");
    });
  });

async function inLanes(lanes: number, total: number, each: () => Promise<void>): Promise<void> {
  let left = total;
  const lane = async () => {
    while (left-- > 0) await each();
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

const CONNECTIONS = 4000;

async function measure(kind: string): Promise<string> {
  const owner = fork(here, { env: { ...process.env, DOOR_ROLE: `owner ${kind}` } });
  const [told] = (await once(owner, "message")) as [Pick<Doors, "port" | "pids">];
  const { port, pids } = told;
  const all = [owner.pid ?? 0, ...pids];
  await inLanes(32, 1000, async () => void (await askOnce(port, false)));
  const before = all.map(cpuMs);
  await inLanes(32, CONNECTIONS, async () => void (await askOnce(port, false)));
  const perConnection = all.map((pid, index) => ((cpuMs(pid) - (before[index] ?? 0)) * 1000) / CONNECTIONS);
  const ownerUs = perConnection[0] ?? 0;
  const workersUs = perConnection.slice(1).reduce((sum, us) => sum + us, 0);
  // Eight connections that stay, opened together, as clients of a gateway have them; ten times.
  const unequal: number[] = [];
  for (let round = 0; round < 10; round += 1) {
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => askOnce(port, agent)));
    unequal.push(Math.max(...["0", "1"].map((worker) => answers.filter((from) => from === worker).length)));
    agent.destroy();
  }
  // New connections all the time, and one worker is killed.
  const ends = new Map<Outcome, number>();
  const dying = inLanes(16, 3000, async () => {
    const outcome = await askOnce(port, false);
    ends.set(outcome, (ends.get(outcome) ?? 0) + 1);
  });
  setTimeout(() => process.kill(pids[0] ?? 0, "SIGKILL"), 300);
  await dying;
  owner.kill("SIGKILL");
  for (const pid of pids.slice(1)) process.kill(pid, "SIGKILL");
  return [
    kind.padEnd(13),
    ownerUs.toFixed(0).padStart(9),
    workersUs.toFixed(0).padStart(11),
    unequal.join(" ").padStart(24),
    String(ends.get("broken") ?? 0).padStart(9),
    String(ends.get("late") ?? 0).padStart(9),
  ].join(" ");
}

const REQUESTS = 200_000;

const perRequest = (us: number): string => (us / REQUESTS).toFixed(2).padStart(9);

/** What one message of two notes costs each side, when so many leave together; and a question and its answer. */
async function measureMessages(batch: number): Promise<string> {
  const child = fork(here, { env: { ...process.env, DOOR_ROLE: "listener" }, serialization: "advanced" });
  const ask = async (what: string): Promise<unknown> => {
    child.send(what);
    return ((await once(child, "message")) as [unknown])[0];
  };
  for (let asked = 0; asked < 2000; asked += 1) await ask("echo");
  const startedMs = performance.now();
  for (let asked = 0; asked < 5000; asked += 1) await ask("echo");
  const roundTripUs = (performance.now() - startedMs) / 5;
  const heard = (await ask("cpu")) as NodeJS.CpuUsage;
  const said = process.cpuUsage();
  const notes = [
    {
      kind: "place-freed",
      neuron: "one",
      modelId: "org/model",
      end: { outcome: "served", tokensPerSec: 31.5 },
    },
    {
      kind: "usage-counted",
      reservation: null,
      used: { meterId: "a.b", keyId: "k", modelId: "org/model", outcome: "answered", nowMs: 1 },
    },
  ];
  for (let sent = 0; sent < REQUESTS / batch; sent += 1) {
    const told = Array.from({ length: batch }, () => notes).flat();
    await new Promise((resolve) => child.send({ number: sent, told }, resolve));
  }
  const usage = process.cpuUsage(said);
  const after = (await ask("cpu")) as NodeJS.CpuUsage;
  child.kill();
  return [
    String(batch).padEnd(13),
    perRequest(usage.user + usage.system),
    perRequest(after.user + after.system - heard.user - heard.system).padStart(11),
    roundTripUs.toFixed(0).padStart(24),
  ].join(" ");
}

if (role === "listener") {
  process.on("message", (message) => {
    if (message === "echo") process.send?.(message);
    if (message === "cpu") process.send?.(process.cpuUsage());
  });
} else if (role?.startsWith("owner ") === true) await runOwner(role.slice("owner ".length));
else if (role?.startsWith("worker ") === true) await runWorker(role.slice("worker ".length));
else {
  const { values } = parseArgs({ options: { write: { type: "boolean", default: false } } });
  const lines = [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}\n`,
    `CPU of a connection that asks once, microseconds; of 8 connections that stay, how many the fuller of ${WORKERS} workers has (ten times);`,
    "and of 3,000 connections during which one worker is killed, how many broke and how many had no answer within 2 s.\n",
    "                 owner     workers         8 connections: of fuller    broken    late",
  ];
  for (const kind of ["node:cluster", "reuse-port", "own"]) lines.push(await measure(kind));
  lines.push(
    "",
    "What a request tells the owner, by how many leave together: microseconds of CPU; and of a question and its answer, wall.\n",
  );
  lines.push("                sender    receiver              round trip");
  for (const batch of [1, 4, 16, 64]) lines.push(await measureMessages(batch));
  const text = `${lines.join("\n")}\n`;
  console.log(text);
  if (values.write) writeFileSync(fileURLToPath(new URL("doors-results.txt", import.meta.url)), text);
}
