import { readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hashOfSecret } from "../../../src/gateway/keys/key-ring.ts";
import { CortexProcess, isAlive } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import type { FleetState } from "../../../src/protocol/gateway-api.ts";
import { chat, CrewGateway, parentOf } from "./crew-gateway.ts";

const CHAT = "/v1/chat/completions";
const MODEL = "org/model";
const MODELS = `[[models]]\nid = "${MODEL}"\nparallel = 4\n`;
const SECRETS = { user: "sk-cortex-of-the-user", ops: "sk-cortex-of-ops" };
const key = (id: keyof typeof SECRETS, limits: string): string =>
  `[[keys]]\nid = "${id}"\nhash = "${hashOfSecret(SECRETS[id])}"\n${limits}\n`;
const KEYS = key("ops", 'role = "admin"');

const many = <Item>(count: number, make: (index: number) => Promise<Item>): Promise<Item[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));

const countOf = (answers: readonly { readonly status: number }[], status: number): number =>
  answers.filter((answer) => answer.status === status).length;

/** What `GET /usage` says of a key. */
interface Usage {
  readonly rows: readonly { readonly key: string; readonly requests: number; readonly cut: number }[];
  readonly keys: readonly {
    readonly id: string;
    readonly reserved_tokens: number;
    readonly parallel_requests: number;
  }[];
}

async function usageOf(gateway: CrewGateway, id: string) {
  const { rows, keys } = await gateway.json<Usage>("/usage", { key: SECRETS.ops });
  const own = rows.filter((row) => row.key === id);
  const sum = (of: (row: Usage["rows"][number]) => number) => own.reduce((total, row) => total + of(row), 0);
  const row = { requests: sum(({ requests }) => requests), cut: sum(({ cut }) => cut) };
  return { row, standing: keys.find((standing) => standing.id === id) };
}

const loadedModel = (parallel: number) => ({ models: [residentModel(MODEL, { parallel })] });

test("requests for a cold model at both workers wait for one load, and their figures are one", async () => {
  await using gateway = await CrewGateway.start(MODELS, { neuron: { load: { kind: "wait" } } });
  const asked = many(20, (index) => gateway.ask(CHAT, { body: chat(MODEL, { stream: index % 2 === 0 }) }));
  await expect.poll(() => gateway.metric("cortex_load_waiters")).toBe(20);
  await expect.poll(() => gateway.metric("cortex_requests_in_flight")).toBe(20);
  gateway.neuron.finishLoad(MODEL);
  const answers = await asked;
  expect(countOf(answers, 200)).toBe(20);
  expect(gateway.neuron.callsTo("POST", "/models/load")).toHaveLength(1);
  await expect.poll(() => gateway.metric("cortex_requests_total", 'status="200"')).toBe(20);
  expect(await gateway.metric("cortex_cold_starts_total")).toBe(20);
  expect(await gateway.metric("cortex_cold_loads_total", 'outcome="loaded"')).toBe(1);
  expect(await gateway.metric("cortex_request_duration_seconds_count")).toBe(20);
  expect(await gateway.metric("cortex_gateway_workers")).toBe(2);
  // Connections are given to workers in turn, where both are free.
  for (const worker of [1, 2]) {
    await expect
      .poll(() => gateway.logged('"msg":"request"', `"worker":${worker}`).length)
      .toBeGreaterThan(4);
  }
  const listed = await gateway.json<{ requests: { request_id: string; worker: number }[] }>(
    "/fleet/requests",
  );
  expect(new Set(listed.requests.map(({ worker }) => worker))).toEqual(new Set([1, 2]));
  const { request_id: id = "" } = listed.requests[0] ?? {};
  const waited = { kind: "waited", loads: [{ node: "one", outcome: "loaded" }] };
  for (let asking = 0; asking < 2; asking += 1) {
    const { steps } = await gateway.json<{ steps: unknown[] }>(`/fleet/requests/${id}`);
    expect(steps).toContainEqual(
      expect.objectContaining({ kind: "waited", position: expect.any(Number) as number }),
    );
    expect(steps.find((step) => (step as { kind: string }).kind === "waited")).toMatchObject(waited);
  }
});

test("a worker is killed under its streams: the others go on, it comes back, and nothing of it stays held", async () => {
  const user = key("user", "parallel_requests = 4\nhard_cap = 1_000_000");
  await using gateway = await CrewGateway.start(MODELS + KEYS + user, {
    neuron: { ...loadedModel(8), answer: { kind: "hold", tokens: ["first"] } },
  });
  const before = await gateway.ask("/v1/models", { key: SECRETS.user });
  expect(before.status).toBe(200);
  const opsKeyFile = join(gateway.directory, "ops.key");
  await writeFile(opsKeyFile, SECRETS.ops, { mode: 0o600 });
  const open = async () => {
    const stream = await gateway.send(CHAT, { body: chat(MODEL, { stream: true }), key: SECRETS.user });
    await stream.holds("first");
    return stream;
  };
  const streams = [await open(), await open(), await open(), await open()];
  const refused = await gateway.ask(CHAT, { body: chat(MODEL), key: SECRETS.user });
  expect(refused.status).toBe(429);
  const parallel = async () => (await usageOf(gateway, "user")).standing?.parallel_requests;
  await expect.poll(parallel).toBe(4);
  const { requests } = await gateway.json<{ requests: { worker: number; status: number | null }[] }>(
    "/fleet/requests",
    { key: SECRETS.ops },
  );
  const lost = requests.filter(({ worker, status }) => worker === 1 && status === null).length;
  expect(lost).toBeGreaterThan(0);
  expect(lost).toBeLessThan(4);
  const told = async () =>
    (await gateway.json<Pick<FleetState, "workers">>("/fleet", { key: SECRETS.ops })).workers;
  const pid = gateway.workers.get(1) ?? 0;
  await expect.poll(told).toMatchObject([
    { worker: 1, state: "serving", pid, restarts: 0, requests_in_flight: lost },
    { worker: 2, state: "serving", pid: gateway.workers.get(2), requests_in_flight: 4 - lost },
  ]);
  process.kill(pid, "SIGKILL");
  // At once: what is given to the dying worker meanwhile goes to the other one.
  await expect.poll(parallel).toBe(4 - lost);
  await eventually(() => {
    expect(gateway.workers.get(1)).not.toBe(pid);
  });
  await expect
    .poll(() => gateway.logged("gateway worker has ended"))
    .toMatchObject([{ worker: 1, pid, how: "SIGKILL" }]);
  await expect
    .poll(() => gateway.logged("were cut, and are charged"))
    .toMatchObject([{ worker: 1, requests: lost }]);
  await expect.poll(told).toMatchObject([
    { worker: 1, state: "serving", pid: gateway.workers.get(1), restarts: 1, requests_in_flight: 0 },
    { worker: 2, state: "serving", restarts: 0 },
  ]);
  const status = new CortexProcess(["status", "--config", gateway.directory, "--api-key-file", opsKeyFile]);
  expect((await status.exited).code).toBe(0);
  expect(status.stdout).toMatch(
    /ok {2}2 workers\n {2}worker 1 {2}pid \d+, up .*, 0 in flight, restarted once\n {2}worker 2 {2}pid \d+, up/,
  );
  // There is room again for as many, and both workers take requests.
  const more = await many(lost, open);
  await expect.poll(() => gateway.metric("cortex_gateway_workers")).toBe(2);
  gateway.neuron.release();
  const whole = await Promise.all(
    [...streams, ...more].map(async (stream) => (await stream.ended) && stream.text.includes("[DONE]")),
  );
  expect(whole.filter(Boolean)).toHaveLength(4);
  await expect
    .poll(() => usageOf(gateway, "user"))
    .toMatchObject({
      row: { requests: 4 + lost, cut: lost },
      standing: { parallel_requests: 0, reserved_tokens: 0 },
    });
  expect(await gateway.metric("cortex_gateway_worker_deaths_total")).toBe(1);
  await expect.poll(() => gateway.metric("cortex_requests_in_flight")).toBe(0);
});

test("limits of a key hold over all workers, to the request", async () => {
  const limited = key("user", "requests_per_minute = 10");
  await using gateway = await CrewGateway.start(MODELS + KEYS + limited, {
    workers: 3,
    neuron: loadedModel(64),
  });
  const answers = await many(60, () => gateway.ask(CHAT, { body: chat(MODEL), key: SECRETS.user }));
  expect([countOf(answers, 200), countOf(answers, 429)]).toEqual([10, 50]);
  expect(gateway.neuron.callsTo("POST", CHAT)).toHaveLength(10);
});

test("copies with few places get no more than they take, whichever workers ask", async () => {
  await using gateway = await CrewGateway.start(MODELS, {
    workers: 3,
    neuron: { ...loadedModel(2), answer: { kind: "hold", tokens: ["first"] } },
  });
  const streams = many(12, () => gateway.send(CHAT, { body: chat(MODEL, { stream: true }) }));
  // Two slots and a queue as long.
  await gateway.neuron.until((neuron) => neuron.callsTo("POST", CHAT).length === 4);
  await expect.poll(() => gateway.metric("cortex_load_waiters")).toBe(8);
  expect(gateway.neuron.callsTo("POST", CHAT)).toHaveLength(4);
  const release = setInterval(() => {
    gateway.neuron.release();
  }, 20);
  const answers = await streams;
  await many(12, (index) => answers[index]?.ended ?? Promise.resolve(false));
  clearInterval(release);
  expect(answers.filter(({ text }) => text.includes("[DONE]"))).toHaveLength(12);
});

test("SIGTERM: new work is refused by all, streams of all end whole, and no process is left", async () => {
  await using gateway = await CrewGateway.start(MODELS, {
    neuron: { ...loadedModel(8), answer: { kind: "hold", tokens: ["first"] } },
  });
  const streams = await many(4, () => gateway.send(CHAT, { body: chat(MODEL, { stream: true }) }));
  await many(4, (index) => streams[index]?.holds("first") ?? Promise.resolve());
  await expect.poll(() => gateway.workers.size).toBe(2);
  const pids = [...gateway.workers.values()];
  for (const pid of pids) expect(await parentOf(pid)).toBe(gateway.process.pid);
  // As from a terminal, where the signal reaches all of them: workers leave it to their owner.
  for (const pid of pids) process.kill(pid, "SIGTERM");
  gateway.process.signal("SIGTERM");
  await expect.poll(async () => countOf(await many(4, () => gateway.ask("/ready")), 503)).toBe(4);
  expect(countOf(await many(4, () => gateway.ask(CHAT, { body: chat(MODEL) })), 503)).toBe(4);
  gateway.neuron.release();
  expect((await gateway.process.exited).code).toBe(0);
  for (const stream of streams) {
    expect(await stream.ended).toBe(true);
    expect(stream.text).toContain("[DONE]");
  }
  for (const pid of pids) expect(isAlive(pid)).toBe(false);
});

test("other files are in force at all workers, and a key that is gone opens none", async () => {
  await using gateway = await CrewGateway.start(MODELS + KEYS + key("user", ""), { neuron: loadedModel(8) });
  const asAll = () => many(4, () => gateway.ask(CHAT, { body: chat(MODEL), key: SECRETS.user }));
  expect(countOf(await asAll(), 200)).toBe(4);
  await gateway.write(`${MODELS}${KEYS}[aliases]\nalso = "${MODEL}"\n`);
  gateway.process.signal("SIGHUP");
  await gateway.process.waitFor(/fleet files read anew/);
  await expect.poll(async () => countOf(await asAll(), 401)).toBe(4);
  const byAlias = await many(4, () => gateway.ask(CHAT, { body: chat("also"), key: SECRETS.ops }));
  expect(countOf(byAlias, 200)).toBe(4);
});

test("a conversation of the Responses API goes on at another worker", async () => {
  await using gateway = await CrewGateway.start(MODELS, { neuron: loadedModel(8) });
  const turn = (input: string, previous?: string) =>
    gateway.json<{ id: string; status?: string; error?: unknown }>("/v1/responses", {
      body: { model: MODEL, input, ...(previous === undefined ? {} : { previous_response_id: previous }) },
    });
  let last = await turn("one");
  for (const input of ["two", "three", "four"]) {
    const next = await turn(input, last.id);
    expect(next).toMatchObject({ status: "completed" });
    last = next;
  }
  const sent = gateway.neuron.callsTo("POST", CHAT).at(-1)?.body ?? "";
  expect(sent.match(/"role":"user"/g)).toHaveLength(4);
  await expect.poll(() => gateway.logged('"msg":"request"', '"worker":2')).not.toEqual([]);
  expect(
    (
      await gateway.ask("/v1/responses", {
        body: { model: MODEL, input: "x", previous_response_id: "resp_none" },
      })
    ).status,
  ).toBe(400);
});

test("workers do not outlive an owner that is killed, and streams under way say that they are not whole", async () => {
  await using temporary = await temporaryDirectory();
  await using gateway = await CrewGateway.start(MODELS, {
    neuron: { ...loadedModel(8), answer: { kind: "hold", tokens: ["first"] } },
    environment: { TMPDIR: temporary.path },
  });
  const stream = await gateway.send(CHAT, { body: chat(MODEL, { stream: true }) });
  await stream.holds("first");
  await expect.poll(() => gateway.workers.size).toBe(2);
  const pids = [...gateway.workers.values()];
  await gateway.process.stop("SIGKILL");
  await stream.ended;
  expect(stream.text).toContain("the gateway has ended; the answer is incomplete");
  expect(stream.text).not.toContain("[DONE]");
  await eventually(() => {
    expect(pids.filter(isAlive)).toEqual([]);
  });
  expect(await readdir(temporary.path)).toEqual([]);
});

test("a port that is taken, and a number of workers that is none, are refused by name", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  await expect(CrewGateway.start(MODELS, { port })).rejects.toThrow(/taken by another process/);
  await new Promise((resolve) => taken.close(resolve));
  await using none = new CortexProcess(["serve", "--workers", "many"]);
  expect((await none.exited).code).toBe(64);
  expect(none.stderr).toContain("--workers many is no number of processes");
});
