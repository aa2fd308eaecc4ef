import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { WorkerStart } from "../../src/protocol/worker-messages.ts";
import { spawnWorker, startWorkerProcess, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { corruptModelFile, tinyModelFile, truncatedModelFile } from "../support/neuron/tiny-model.ts";
import { workerHttp, type WorkerHttp } from "../support/neuron/worker-http.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "hello there" }];
/** Long enough that a generation to its end takes many times what a test waits. */
const CONTEXT_TOKENS = 16_384;
const endless = { messages, max_tokens: 16_000 };

const open: { worker: SpawnedWorker; http: WorkerHttp }[] = [];

async function started(overrides: Partial<WorkerStart> = {}) {
  const worker = await spawnWorker(await tinyModelFile({ contextLength: CONTEXT_TOKENS }), overrides);
  const http = workerHttp(worker.socketPath);
  open.push({ worker, http });
  return { worker, http };
}

afterEach(async () => {
  for (const { worker, http } of open.splice(0)) {
    await http.close();
    await worker.stop();
  }
});

const busy = (count: number) => (health: { slots_busy: number }) => health.slots_busy === count;

/** How long the only slot stays taken once `leave` has been called. */
async function slotFreedAfterMs(http: WorkerHttp, leave: () => Promise<void>): Promise<number> {
  const leftAtMs = performance.now();
  await leave();
  await http.until(busy(0));
  return performance.now() - leftAtMs;
}

describe("a client that leaves", () => {
  let worker: SpawnedWorker;
  let http: WorkerHttp;

  beforeAll(async () => {
    worker = await spawnWorker(await tinyModelFile({ contextLength: CONTEXT_TOKENS }));
    http = workerHttp(worker.socketPath);
  });
  afterAll(async () => {
    await http.close();
    await worker.stop();
  });

  test("in the middle of a stream frees the slot for the next", async () => {
    const stream = await http.stream(endless);
    for (let read = 0; read < 5; read += 1) await stream.events.next();
    expect(await slotFreedAfterMs(http, () => stream.leave())).toBeLessThan(2000);
    expect((await http.chat({ messages, max_tokens: 1 })).usage.completion_tokens).toBe(1);
  });

  test("without streaming frees the slot too", async () => {
    const leaver = workerHttp(worker.socketPath);
    const answer = leaver.post(CHAT, endless).catch(() => "left");
    await http.until(busy(1));
    expect(await slotFreedAfterMs(http, () => leaver.close())).toBeLessThan(2000);
    expect(await answer).toBe("left");
  });

  test("while its prompt is computed frees the slot before the prompt is done", async () => {
    const prompt = { messages: [{ role: "user", content: "word ".repeat(1600) }], max_tokens: 1 };
    const whole = await http.chat(prompt);
    // Another beginning, so that nothing of it is cached.
    const stream = await http.stream({
      ...prompt,
      messages: [{ role: "user", content: "other ".repeat(1400) }],
    });
    await http.until(busy(1));
    const freedAfterMs = await slotFreedAfterMs(http, () => stream.leave());
    expect(freedAfterMs).toBeLessThan((whole.timings?.prompt_ms ?? 0) / 2);
  });

  test("from the queue takes no slot, and those behind it move up", async () => {
    const running = await http.stream(endless);
    const queued = await http.stream(endless);
    const behind = http.chat({ messages, max_tokens: 1 });
    await http.until((health) => health.queued === 2);
    await queued.leave();
    await http.until((health) => health.queued === 1);
    await running.leave();
    expect((await behind).usage.completion_tokens).toBe(1);
    expect(await http.health()).toMatchObject({ slots_busy: 0, queued: 0 });
  });
});

describe("more requests than slots", () => {
  test("wait in a bounded queue, hear a sign of life, and are refused beyond it", async () => {
    const { http } = await started();
    const running = await http.stream(endless);
    await running.events.next();
    const waiting = await Promise.all(Array.from({ length: 8 }, () => http.stream(endless)));
    expect(await http.health()).toMatchObject({ queued: 8, max_queued: 8 });
    expect(await waiting[0]?.events.next()).toMatchObject({ value: ": keep-alive" });
    expect(await http.fails(CHAT, { messages })).toMatchObject({ status: 503, code: "queue_full" });
    await Promise.all([running, ...waiting].map((stream) => stream.leave()));
    await http.until(busy(0));
  });

  test("every slot answers while a long prompt is computed beside it", async () => {
    const { http } = await started({ parallel: 2 });
    // Where this process gets no core for a while the long prompt may be done before it is looked at: then once more.
    const overtook: boolean[] = [];
    while (overtook.length < 10 && !overtook.includes(true)) {
      let isDone = false;
      const long = http.chat({
        messages: [{ role: "user", content: `${overtook.length} ${"word ".repeat(1600)}` }],
        max_tokens: 1,
      });
      void long.finally(() => {
        isDone = true;
      });
      await http.until((health) => isDone || health.slots_busy === 1);
      const wasBeside = !isDone;
      // Few, since each shares its step with a piece of the long prompt.
      const short = await http.chat({ messages, max_tokens: 4 });
      expect(short.usage.completion_tokens).toBe(4);
      // The short one did not wait for the long prompt.
      overtook.push(wasBeside && (await http.health()).slots_busy === 1);
      expect((await long).usage.completion_tokens).toBe(1);
    }
    expect(overtook).toContain(true);
  });
});

describe("the end of a worker", () => {
  test("stop: a stream in flight ends with an error and without the end mark", async () => {
    const { worker, http } = await started();
    const stream = await http.stream(endless);
    await stream.events.next();
    const ended = once(worker.child, "exit");
    const askedAtMs = performance.now();
    worker.child.send({ kind: "stop-worker" });
    const rest = await stream.rest();
    expect(await ended).toEqual([0, null]);
    expect(performance.now() - askedAtMs).toBeLessThan(2000);
    expect(rest.at(-1)).toContain('"code":"draining"');
    expect(rest).not.toContain("data: [DONE]");
  });

  test("SIGINT is the terminal's and is ignored; SIGTERM ends it", async () => {
    const { worker, http } = await started();
    worker.child.kill("SIGINT");
    expect((await http.chat({ messages, max_tokens: 1 })).usage.completion_tokens).toBe(1);
    const ended = once(worker.child, "exit");
    worker.child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  test("when its parent is killed it ends by itself", async () => {
    const main = new URL("../../src/worker/io/worker-main.ts", import.meta.url).pathname;
    const script = `
      const child = require("node:child_process").spawn(process.execPath, [${JSON.stringify(main)}], {
        stdio: ["ignore", "ignore", "ignore", "ipc"], detached: true });
      child.on("message", (message) => { if (message.kind === "model-loaded") console.log(child.pid); });
      child.send(JSON.parse(process.argv[1]));`;
    const start = {
      kind: "start-worker",
      model_path: await tinyModelFile(),
      model_id: "tiny",
      socket_path: join((await temporaryDirectory()).path, "w.sock"),
      parallel: 1,
      gpu: false,
    };
    const parent = spawn(process.execPath, ["-e", script, JSON.stringify(start)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    const alive = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(alive()).toBe(true);
    parent.kill("SIGKILL");
    while (alive()) await delay(10);
    expect(alive()).toBe(false);
  });
});

describe("a model that cannot be loaded", () => {
  test.each([
    ["missing", async () => "/nowhere/model.gguf", "source_not_found"],
    ["corrupt", corruptModelFile, "model_file_invalid"],
    ["truncated", truncatedModelFile, "model_file_invalid"],
    ["a directory", async () => "/", "model_file_invalid"],
  ])("%s: says why and ends with 1", async (_name, file, code) => {
    const failing = await startWorkerProcess(await file());
    const ended = once(failing.child, "exit");
    const message = await failing.settled;
    expect(message).toMatchObject({ kind: "load-failed", code });
    expect(await ended).toEqual([1, null]);
  });

  test("a context that no machine holds is refused before it is tried", async () => {
    const failing = await startWorkerProcess(await tinyModelFile(), { context: 2 ** 30, parallel: 8 });
    expect(await failing.settled).toMatchObject({ kind: "load-failed", code: "insufficient_vram" });
  });

  test("a socket that a killed worker left behind is replaced", async () => {
    const { path, close } = await temporaryDirectory();
    const socketPath = join(path, "w.sock");
    const model = await tinyModelFile();
    const killed = await startWorkerProcess(model, { socket_path: socketPath });
    await killed.settled;
    const ended = once(killed.child, "exit");
    killed.child.kill("SIGKILL");
    await ended;
    expect((await stat(socketPath)).isSocket()).toBe(true);
    const next = await spawnWorker(model, { socket_path: socketPath });
    await next.stop();
    await close();
  });

  test("a socket that is in use is not taken over", async () => {
    const { path, close } = await temporaryDirectory();
    const socketPath = join(path, "w.sock");
    const other = createServer().listen(socketPath);
    await once(other, "listening");
    const failing = await startWorkerProcess(await tinyModelFile(), { socket_path: socketPath });
    expect(await failing.settled).toMatchObject({ kind: "load-failed", code: "address_in_use" });
    other.close();
    await close();
  });
});

async function temporaryDirectory(): Promise<{ path: string; close: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "cortex-worker-"));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}
