import Anthropic from "@anthropic-ai/sdk";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Ollama } from "ollama";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { applyFleet, sourceOf, startFleet, type RunningFleet } from "../../support/fleet/running-fleet.ts";

// Pictures and sounds through the real gateway, neuron and worker to engines that speak OpenAI's API; the engine itself is a
// server of this test, since those that can hear and draw need weights that are not here.

const DEMO_MODEL = fileURLToPath(new URL("../../../assets/demo/cortex-demo.gguf", import.meta.url));
const SOUND = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256));
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

interface Asked {
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

const asked: Asked[] = [];
const lastAsked = (): Asked => {
  const last = asked.at(-1);
  if (last === undefined) throw new Error("the engine was not asked");
  return last;
};

const sayJson = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};

async function transcribe({ body, type }: Asked, response: ServerResponse): Promise<void> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  const file = form.get("file");
  const model = form.get("model");
  if (!(file instanceof File) || typeof model !== "string") throw new Error("no file, or no model");
  const text = `${model} heard ${digestOf(new Uint8Array(await file.arrayBuffer()))}`;
  if (form.get("stream") !== "true") return sayJson(response, { text });
  // Such streams end without [DONE].
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(`data: ${JSON.stringify({ type: "transcript.text.delta", delta: text })}\n\n`);
  response.end(`data: ${JSON.stringify({ type: "transcript.text.done", text })}\n\n`);
}

function speak({ body }: Asked, response: ServerResponse): void {
  const { input } = JSON.parse(body.toString()) as { input: string };
  response.writeHead(200, { "content-type": "audio/mpeg" });
  response.write(SOUND.subarray(0, 100_000), () => {
    if (input === "cut") response.destroy();
    else response.end(SOUND.subarray(100_000));
  });
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? "";
  const one = { path, type: request.headers["content-type"] ?? "", body: await buffer(request) };
  asked.push(one);
  if (path === "/health") sayJson(response, {});
  else if (path === "/v1/models")
    sayJson(response, { data: ["see", "hear", "draw", "read"].map((id) => ({ id, max_model_len: 4096 })) });
  else if (path === "/v1/audio/transcriptions") await transcribe(one, response);
  else if (path === "/v1/audio/speech") speak(one, response);
  else if (path.startsWith("/v1/images/")) sayJson(response, { created: 1, data: [{ b64_json: PICTURE }] });
  else if (path === "/v1/chat/completions" && /"model":"(?:see|read)"/.test(one.body.toString())) {
    const message = { role: "assistant", content: "a dot" };
    const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
    sayJson(response, {
      id: "1",
      object: "chat.completion",
      created: 1,
      model: "see",
      choices: [{ index: 0, message, finish_reason: "stop" }],
      usage,
    });
  } else sayJson(response, { error: { message: "not here" } }, 404);
}

let engine: Server;
let fleet: RunningFleet;
let openai: OpenAI;

beforeAll(async () => {
  engine = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const external = (id: string, capabilities: readonly string[]) => `[[models]]
id = "org/${id}"
harness = "openai"
endpoint = "${endpoint}"
served_as = "${id}"
capabilities = ${JSON.stringify(capabilities)}
`;
  fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: DEMO_MODEL,
    models: `${external("see", ["vision", "audio"])}
${external("hear", ["speech", "transcription"])}
${external("draw", ["images"])}
${external("read", [])}
[[models]]
id = "cortex/demo"
source = "${sourceOf(DEMO_MODEL)}"

[aliases]
ear = "org/hear"
eye = "org/see"
`,
  });
  await applyFleet(fleet);
  openai = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });
});

beforeEach(() => {
  asked.length = 0;
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  engine.close();
});

async function postForm(body: string, type: string) {
  const headers = { "content-type": type };
  const url = `${fleet.gatewayUrl}/v1/audio/transcriptions`;
  const response = await fetch(url, { method: "POST", headers, body });
  return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
}

describe("routes of sounds and pictures, with the official SDK", () => {
  test("a form reaches the engine whole, under its own name for the model, by way of an alias and a cold load", async () => {
    const file = await toFile(SOUND, "sound.mp3");
    const heard = await openai.audio.transcriptions.create({ model: "ear", file, prompt: "Ümläut" });
    expect(heard.text).toBe(`hear heard ${digestOf(SOUND)}`);
    expect(lastAsked().type).toMatch(/^multipart\/form-data; boundary=/);
    expect(lastAsked().body.toString()).toContain("Ümläut");
  });

  test("a transcript is streamed", async () => {
    const file = await toFile(SOUND, "sound.mp3");
    const types: string[] = [];
    for await (const event of await openai.audio.transcriptions.create({
      model: "org/hear",
      file,
      stream: true,
    })) {
      types.push(event.type);
    }
    expect(types).toEqual(["transcript.text.delta", "transcript.text.done"]);
  });

  test("a sound comes back byte for byte", async () => {
    const spoken = await openai.audio.speech.create({ model: "ear", voice: "alloy", input: "hello" });
    expect(spoken.headers.get("content-type")).toBe("audio/mpeg");
    expect(digestOf(new Uint8Array(await spoken.arrayBuffer()))).toBe(digestOf(SOUND));
    expect(JSON.parse(lastAsked().body.toString())).toEqual({
      model: "hear",
      voice: "alloy",
      input: "hello",
    });
  });

  test("a sound that breaks off is an error, never a shorter sound", async () => {
    const spoken = await openai.audio.speech.create({ model: "ear", voice: "alloy", input: "cut" });
    await expect(spoken.arrayBuffer()).rejects.toThrow(/terminated|aborted|closed|premature/i);
  });

  test("pictures are drawn and changed", async () => {
    const drawn = await openai.images.generate({ model: "org/draw", prompt: "a dot" });
    expect(drawn.data?.[0]?.b64_json).toBe(PICTURE);
    const image = await toFile(Buffer.from(PICTURE, "base64"), "dot.png", { type: "image/png" });
    const changed = await openai.images.edit({ model: "org/draw", image, prompt: "two dots" });
    expect(changed.data?.[0]?.b64_json).toBe(PICTURE);
    expect(lastAsked().path).toBe("/v1/images/edits");
  });

  test.each([
    { what: "an engine that does not declare it", model: "org/draw" },
    { what: "a model of our own engine", model: "cortex/demo" },
  ])("$what is not asked, and the answer names what is missing", async ({ model }) => {
    const file = await toFile(SOUND, "sound.mp3");
    await expect(openai.audio.transcriptions.create({ model, file })).rejects.toMatchObject({
      status: 422,
      code: "wrong_modality",
      message: expect.stringContaining('"transcription"') as string,
    });
    await expect(openai.audio.speech.create({ model, voice: "alloy", input: "a" })).rejects.toMatchObject({
      code: "wrong_modality",
    });
    expect(asked.filter(({ path }) => path.startsWith("/v1/audio"))).toEqual([]);
  });

  test("a form that is none, and one without a model, are told so", async () => {
    expect(await postForm("nonsense", "multipart/form-data; boundary=b")).toEqual([
      422,
      "invalid_request_body",
    ]);
    const nameless = '--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nx\r\n--b--\r\n';
    expect(await postForm(nameless, "multipart/form-data; boundary=b")).toEqual([400, "missing_model_field"]);
    expect(await postForm("x", "text/plain")).toEqual([415, "unsupported_media_type"]);
  });

  test("what they can do is listed, and what cannot be counted has no context", async () => {
    await openai.images.generate({ model: "org/draw", prompt: "a dot" });
    await openai.chat.completions.create({ model: "org/see", messages: [{ role: "user", content: "hi" }] });
    const { data } = await openai.models.list();
    const listed = Object.fromEntries(
      data.map((entry) => [entry.id, entry as unknown as Record<string, unknown>]),
    );
    expect(listed["org/draw"]).toMatchObject({ loaded: true, capabilities: ["images"] });
    expect(listed["org/draw"]).not.toHaveProperty("limit");
    expect(listed["org/see"]).toMatchObject({
      capabilities: expect.arrayContaining(["audio", "text", "vision"]) as unknown,
      limit: { context: 4096 },
    });
  });
});

const IMAGE_URL = { type: "image_url", image_url: { url: `data:image/png;base64,${PICTURE}` } } as const;

describe("pictures and sounds in a conversation", () => {
  test("parts pass to an engine that declares them, as they were written", async () => {
    const sound = { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } } as const;
    const content = [{ type: "text", text: "what?" } as const, IMAGE_URL, sound];
    const answer = await openai.chat.completions.create({
      model: "eye",
      messages: [{ role: "user", content }],
    });
    expect(answer.choices[0]?.message.content).toBe("a dot");
    expect(JSON.parse(lastAsked().body.toString())).toEqual({
      model: "see",
      messages: [{ role: "user", content }],
    });
  });

  test("Anthropic's image blocks are translated, by base64 and by address", async () => {
    const client = new Anthropic({ baseURL: fleet.gatewayUrl, apiKey: "none", maxRetries: 0 });
    const message = await client.messages.create({
      model: "org/see",
      max_tokens: 16,
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "what?" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: PICTURE } },
            { type: "image", source: { type: "url", url: "https://pictures.invalid/dot.png" } },
          ],
        },
      ],
    });
    expect(message.content).toMatchObject([{ type: "text", text: "a dot" }]);
    const { messages } = JSON.parse(lastAsked().body.toString()) as { messages: unknown };
    const url = { type: "image_url", image_url: { url: "https://pictures.invalid/dot.png" } };
    expect(messages).toEqual([{ role: "user", content: [{ type: "text", text: "what?" }, IMAGE_URL, url] }]);
  });

  test("Ollama's images, and those of Responses, are translated", async () => {
    const ollama = new Ollama({ host: fleet.gatewayUrl });
    await ollama.chat({ model: "eye", messages: [{ role: "user", content: "what?", images: [PICTURE] }] });
    expect(lastAsked().body.toString()).toContain(`base64,${PICTURE}`);
    await openai.responses.create({
      model: "eye",
      input: [
        {
          role: "user",
          content: [{ type: "input_image", image_url: IMAGE_URL.image_url.url, detail: "auto" }],
        },
      ],
    });
    expect(lastAsked().body.toString()).toContain(`base64,${PICTURE}`);
  });

  test.each(["org/read", "cortex/demo"])("%s, which declares none, is refused by name", async (model) => {
    const ask = (part: unknown) =>
      openai.chat.completions.create({ model, messages: [{ role: "user", content: [part] as never }] });
    await expect(ask(IMAGE_URL)).rejects.toMatchObject({
      status: 400,
      code: "vision_unsupported",
      param: "messages.0.content.0",
    });
    await expect(
      ask({ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }),
    ).rejects.toMatchObject({
      status: 400,
      code: "unsupported_parameter",
      param: "messages.0.content.0",
    });
    const client = new Anthropic({ baseURL: fleet.gatewayUrl, apiKey: "none", maxRetries: 0 });
    const source = { type: "base64", media_type: "image/png", data: PICTURE } as const;
    await expect(
      client.messages.create({
        model,
        max_tokens: 16,
        messages: [{ role: "user", content: [{ type: "image", source }] }],
      }),
    ).rejects.toBeInstanceOf(Anthropic.BadRequestError);
  });
});
