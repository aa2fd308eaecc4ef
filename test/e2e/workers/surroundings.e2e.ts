import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hashOfSecret } from "../../../src/gateway/keys/key-ring.ts";
import { isAlive } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { OtlpCollector } from "../../support/otlp/otlp-collector.ts";
import { findRedisServer } from "../../support/redis/find-redis-server.ts";
import { RedisServer } from "../../support/redis/redis-server.ts";
import { chat, CrewGateway } from "./crew-gateway.ts";

/* What stands around a gateway of several processes: its service manager, a terminal, a collector, a Redis, load. */

const CHAT = "/v1/chat/completions";
const MODEL = "org/model";
const MODELS = `[[models]]\nid = "${MODEL}"\nparallel = 32\n`;
const SECRET = "sk-cortex-of-the-user";
const models = [residentModel(MODEL, { parallel: 64 })];
const HELD = { models, answer: { kind: "hold" as const, tokens: ["first"] } };

const many = <Item>(count: number, make: (index: number) => Promise<Item>): Promise<Item[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));

const countOf = (answers: readonly { readonly status: number }[], status: number): number =>
  answers.filter((answer) => answer.status === status).length;

test("systemd hears of readiness, life and end, from the owner alone", async () => {
  await using directory = await temporaryDirectory();
  const heard = join(directory.path, "heard");
  const tool = join(directory.path, "systemd-notify");
  await writeFile(tool, `#!/bin/sh\necho "$PPID $1" >> "${heard}"\n`);
  await chmod(tool, 0o755);
  await using gateway = await CrewGateway.start(MODELS, {
    neuron: HELD,
    environment: {
      NOTIFY_SOCKET: join(directory.path, "socket"),
      WATCHDOG_USEC: "400000",
      PATH: `${directory.path}:${process.env["PATH"] ?? ""}`,
    },
  });
  const { pid } = gateway.process;
  const words = async () => (await readFile(heard, "utf8").catch(() => "")).trim().split("\n");
  await expect.poll(words).toContain(`${pid} READY=1`);
  await expect.poll(words).toContain(`${pid} WATCHDOG=1`);
  gateway.process.signal("SIGTERM");
  expect((await gateway.process.exited).code).toBe(0);
  const all = await words();
  expect(all.filter((word) => word.endsWith("READY=1"))).toHaveLength(1);
  expect(all).toContain(`${pid} STOPPING=1`);
  expect(new Set(all.map((word) => word.split(" ")[0]))).toEqual(new Set([String(pid)]));
});

test("a second Ctrl-C while streams end leaves nothing behind", async () => {
  await using temporary = await temporaryDirectory();
  await using gateway = await CrewGateway.start(MODELS, {
    neuron: HELD,
    environment: { TMPDIR: temporary.path },
  });
  const streams = await many(2, () => gateway.send(CHAT, { body: chat(MODEL, { stream: true }) }));
  await many(2, (index) => streams[index]?.holds("first") ?? Promise.resolve());
  const pids = [...gateway.workers.values()];
  expect(pids).toHaveLength(2);
  // As from a terminal: to all of them.
  const interrupt = () => {
    for (const pid of pids) process.kill(pid, "SIGINT");
    gateway.process.signal("SIGINT");
  };
  interrupt();
  await expect.poll(async () => (await gateway.ask("/ready")).status).toBe(503);
  expect(pids.filter(isAlive)).toEqual(pids);
  interrupt();
  expect(await gateway.process.exited).toMatchObject({ code: 130 });
  expect(gateway.process.stderr).toContain("stopped before everything had ended");
  await eventually(() => {
    expect(pids.filter(isAlive)).toEqual([]);
  });
  expect(await readdir(temporary.path)).toEqual([]);
  await Promise.all(streams.map(({ ended }) => ended));
  // What the end of their grace, 25 s later, would have told them.
  for (const { text } of streams) expect(text).not.toContain("the answer is incomplete");
});

test("each request is traced once, by the worker that served it, and nothing of it is lost at the end", async () => {
  const collector = await OtlpCollector.start();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => collector.stop());
  await using gateway = await CrewGateway.start(MODELS, {
    neuron: { models },
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint },
  });
  const answers = await many(12, () => gateway.ask(CHAT, { body: chat(MODEL) }));
  expect(countOf(answers, 200)).toBe(12);
  await gateway.ask("/v1/models");
  gateway.process.signal("SIGTERM");
  expect((await gateway.process.exited).code).toBe(0);
  const { spans } = collector;
  const roots = spans.filter(({ parentSpanId = "" }) => parentSpanId === "");
  expect(roots).toHaveLength(12);
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(12);
  const lines = gateway.logged('"msg":"request"');
  const servedBy = new Map(lines.map(({ request_id: id, worker }) => [id, worker]));
  for (const { attributes, resource } of roots) {
    expect(resource["cortex.worker"]).toBe(servedBy.get(attributes["cortex.request_id"]));
  }
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
});

const found = await findRedisServer();
const why = found.kind === "found" ? "" : ` (left out: ${found.reason})`;

describe.skipIf(found.kind === "missing")(`with the ledger in Redis${why}`, () => {
  test("limits hold over all workers to the request, and nothing stays reserved", async () => {
    await using stack = new AsyncDisposableStack();
    const redis = await RedisServer.start(found.kind === "found" ? found.path : "");
    stack.defer(() => redis.stop());
    const key = `[[keys]]\nid = "user"\nrole = "admin"\nhash = "${hashOfSecret(SECRET)}"\nrequests_per_minute = 10\n`;
    await using gateway = await CrewGateway.start(`${MODELS}${key}[ledger]\nurl = "${redis.url}"\n`, {
      neuron: { models },
    });
    const answers = await many(30, () => gateway.ask(CHAT, { body: chat(MODEL), key: SECRET }));
    expect([countOf(answers, 200), countOf(answers, 429)]).toEqual([10, 20]);
    await expect
      .poll(() => gateway.json("/usage", { key: SECRET }))
      .toMatchObject({
        rows: [{ key: "user", requests: 10 }],
        keys: [{ id: "user", requests_in_last_minute: 10, parallel_requests: 0, reserved_tokens: 0 }],
      });
    gateway.process.signal("SIGTERM");
    expect((await gateway.process.exited).code).toBe(0);
  });
});

test("a worker is killed under load: what is at the other one is served whole, and new requests all the time", async () => {
  await using gateway = await CrewGateway.start(MODELS, { neuron: HELD });
  const streams = await many(8, () => gateway.send(CHAT, { body: chat(MODEL, { stream: true }) }));
  await many(8, (index) => streams[index]?.holds("first") ?? Promise.resolve());
  const { requests } = await gateway.json<{ requests: { worker: number; status: number | null }[] }>(
    "/fleet/requests",
  );
  const staying = requests.filter(({ worker, status }) => worker === 2 && status === null).length;
  expect(staying).toBeGreaterThan(0);
  let [asked, failed] = [0, 0];
  const load = many(4, async () => {
    for (let left = 40; left > 0; left -= 1) {
      asked += 1;
      if (asked === 60) process.kill(gateway.workers.get(1) ?? 0, "SIGKILL");
      const status = await gateway.ask("/v1/models").then(
        (answer) => answer.status,
        () => 0,
      );
      if (status !== 200) failed += 1;
    }
  });
  await load;
  // One for each client at the most: what the dying worker had taken.
  expect(failed).toBeLessThanOrEqual(4);
  await expect.poll(() => gateway.metric("cortex_gateway_workers")).toBe(2);
  gateway.neuron.release();
  const whole = await Promise.all(
    streams.map(async (stream) => (await stream.ended) && stream.text.includes("[DONE]")),
  );
  expect(whole.filter(Boolean)).toHaveLength(staying);
});

/** Asks with a connection of its own, which stays open until the agent is let go. */
const askKeeping = (gateway: CrewGateway, agent: Agent): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request(`${gateway.url}/health`, { agent }, (response) => {
      response.resume().on("end", () => {
        resolve(response.statusCode ?? 0);
      });
    });
    asked.on("error", reject).end();
  });

test("the limit on connections is one for the whole gateway, and not a share for each worker", async () => {
  const limits = "[gateway.limits]\nconnections = 4\n";
  await using gateway = await CrewGateway.start(limits + MODELS, { workers: 3, neuron: { models } });
  using open = new DisposableStack();
  const connect = async () => {
    const agent = open.adopt(new Agent({ keepAlive: true, maxSockets: 1 }), (used) => {
      used.destroy();
    });
    return { agent, status: await askKeeping(gateway, agent) };
  };
  const statuses: number[] = [];
  const [first] = [await connect()];
  for (let left = 3; left > 0; left -= 1) statuses.push((await connect()).status);
  expect([first.status, ...statuses]).toEqual([200, 200, 200, 200]);
  const refused = await gateway.ask("/health");
  expect(refused.status).toBe(503);
  expect(refused.text).toContain("4 connections are open");
  // One that is let go makes room for one, at whichever worker.
  first.agent.destroy();
  await expect.poll(async () => (await connect()).status).toBe(200);
  expect((await gateway.ask("/health")).status).toBe(503);
});
