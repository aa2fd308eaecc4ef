import { chmod, mkdtemp, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { readToTheEnd, startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

const ENGINE = new URL("../support/neuron/fake-engine.ts", import.meta.url).pathname;
const MESSAGES = [{ role: "user", content: "hello" }];

const startNeuron = () => startTestNeuron({ engines: [process.execPath] });

const specWith = (fault: string, more: object = {}) => ({
  model_id: "m",
  harness: "openai",
  vram_mb: 64,
  parallel: 2,
  command: ["node", ENGINE, `{"port":\${PORT},"model":"theirs","fault":"${fault}"}`],
  served_as: "theirs",
  ...more,
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

describe("an engine that a command starts", () => {
  test("answers under the model's name, tells its usage, and leaves nothing behind", async () => {
    await using neuron = await startNeuron();
    expect(await neuron.load(specWith("none"))).toMatchObject({ status: 200 });
    const [model] = (await neuron.models()).models;
    expect(model).toMatchObject({
      harness: "openai",
      status: "loaded",
      vram_measured: true,
      capabilities: ["text", "tools"],
      limit: { context: 2048, output: 2048 },
      parallel: 2,
    });
    const answer = await neuron.chat({ model: "m", messages: MESSAGES, seed: 3 });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cortex-usage")).toBe("prompt=7, completion=2, cached=3, reasoning=0");
    const { choices } = (await answer.json()) as { choices: { message: { content: string } }[] };
    expect(JSON.parse(choices[0]?.message.content ?? "")).toEqual({
      model: "theirs",
      messages: MESSAGES,
      seed: 3,
    });

    const streamed = await readToTheEnd(await neuron.chat({ model: "m", messages: MESSAGES, stream: true }));
    expect(streamed.text.trimEnd().endsWith("data: [DONE]")).toBe(true);
    expect(streamed.text).not.toContain("usage");

    expect((await neuron.unload({ model_id: "m" })).status).toBe(200);
    expect(isAlive(model?.pid ?? -1)).toBe(false);
  });

  test("an engine that does not know stream_options is asked without", async () => {
    await using neuron = await startNeuron();
    await neuron.load(specWith("no-options"));
    const { text } = await readToTheEnd(await neuron.chat({ model: "m", messages: MESSAGES, stream: true }));
    expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true);
  });

  test("what it refuses is told in our words, and what it says of itself is not", async () => {
    await using neuron = await startNeuron();
    await neuron.load(specWith("none"));
    const hot = await neuron.chat({ model: "m", messages: MESSAGES, temperature: 9 });
    expect(hot.status).toBe(400);
    expect(await hot.json()).toMatchObject({
      error: { code: "engine_refused", message: "temperature: too hot" },
    });
    const failed = await neuron.chat({ model: "m", messages: MESSAGES, temperature: 8 });
    expect(failed.status).toBe(502);
    expect(await failed.text()).not.toContain("secret.py");
  });

  test.each([
    {
      fault: "exits",
      status: 500,
      code: "engine_exited",
      says: "code 3 before it was ready; it said: no such weights",
    },
    {
      fault: "never-ready",
      more: { start_timeout_secs: 1 },
      status: 504,
      code: "engine_timeout",
      says: "not become ready within 1 s",
    },
    {
      fault: "none",
      more: { served_as: "ours" },
      status: 422,
      code: "engine_unsuitable",
      says: "has theirs, not ours",
    },
    {
      fault: "none",
      more: { command: ["/bin/sh"] },
      status: 403,
      code: "engine_forbidden",
      says: "does not run /bin/sh",
    },
  ])("$fault with $more fails its load with $code", async ({ fault, more, status, code, says }) => {
    await using neuron = await startNeuron();
    const answer = await neuron.load<WireError>(specWith(fault, more));
    expect(answer).toMatchObject({ status, body: { error: { code } } });
    expect(answer.body.error.message).toContain(says);
    await eventually(async () => expect((await neuron.models()).models).toEqual([]));
  });

  test("one that dies while it answers cuts the answer visibly, and comes back", async () => {
    await using neuron = await startNeuron();
    await neuron.load(specWith("dies"));
    const before = (await neuron.models()).models[0]?.pid;
    const cut = await readToTheEnd(await neuron.chat({ model: "m", messages: MESSAGES, stream: true }));
    expect(cut.text).not.toContain("[DONE]");
    await eventually(async () => {
      const [model] = (await neuron.models()).models;
      expect(model).toMatchObject({ status: "loaded" });
      expect(model?.pid).not.toBe(before);
    });
  });

  test("one that does not heed the request to go is killed", async () => {
    await using neuron = await startNeuron();
    await neuron.load(specWith("ignores-term"));
    expect((await neuron.unload({ model_id: "m" })).status).toBe(200);
  });

  test("a client that leaves frees its place", async () => {
    await using neuron = await startNeuron();
    await neuron.load(specWith("hangs"));
    const leave = new AbortController();
    await neuron.chat({ model: "m", messages: MESSAGES, stream: true }, leave.signal);
    leave.abort();
    await eventually(async () => {
      const { body } = await neuron.call<{ models: unknown[] }>("/health");
      expect(body.models[0]).toMatchObject({ in_flight: 0 });
    });
  });
});

describe("an engine that runs already", () => {
  test("is attached to with its token, holds no memory here, and lives on", async () => {
    const directory = await mkdtemp(join(tmpdir(), "cortex-engine-"));
    const tokenFile = join(directory, "engine.token");
    await writeFile(tokenFile, "0123456789abcdef-right\n");
    await chmod(tokenFile, 0o600);
    const port = await freePort();
    const told = { port, model: "m", token: "0123456789abcdef-right" };
    const engine = spawn(process.execPath, [ENGINE, JSON.stringify(told)], { stdio: "ignore" });
    try {
      await using neuron = await startTestNeuron();
      const spec = { model_id: "m", harness: "openai", endpoint: `http://127.0.0.1:${port}` };
      const denied = await neuron.load<WireError>({ ...spec, start_timeout_secs: 5 });
      expect(denied).toMatchObject({ status: 502, body: { error: { code: "engine_denied" } } });
      expect(await neuron.load({ ...spec, token_file: tokenFile })).toMatchObject({ status: 200 });
      const [model] = (await neuron.models()).models;
      expect(model).toMatchObject({ status: "loaded", vram_used_mb: 0, vram_measured: false });
      expect((await neuron.chat({ model: "m", messages: MESSAGES })).status).toBe(200);
      expect((await neuron.unload({ model_id: "m" })).status).toBe(200);
      expect(isAlive(engine.pid ?? -1)).toBe(true);
    } finally {
      engine.kill("SIGKILL");
    }
  });

  test("nobody there is told with the address", async () => {
    await using neuron = await startTestNeuron();
    const answer = await neuron.load<WireError>({
      model_id: "m",
      harness: "openai",
      endpoint: `http://127.0.0.1:${await freePort()}`,
      start_timeout_secs: 1,
    });
    expect(answer).toMatchObject({ status: 503, body: { error: { code: "engine_unreachable" } } });
  });
});
