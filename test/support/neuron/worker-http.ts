import { setTimeout as delay } from "node:timers/promises";
import { Client } from "undici";
import { errorEnvelopeSchema } from "../../../src/protocol/error-envelope.ts";
import {
  chatCompletionChunkSchema,
  chatCompletionSchema,
  workerHealthSchema,
  type ChatCompletion,
  type ChatCompletionChunk,
  type WorkerHealth,
} from "../../../src/protocol/openai/chat.ts";

export interface WorkerHttp {
  /** Any route; the body as JSON. */
  post(path: string, body: object): Promise<{ readonly status: number; readonly body: unknown }>;
  chat(body: object): Promise<ChatCompletion>;
  /** Status and envelope of a request that must fail. */
  fails(
    path: string,
    body: object,
  ): Promise<{ status: number; code: unknown; param: unknown; [key: string]: unknown }>;
  stream(body: object): Promise<OpenStream>;
  health(): Promise<WorkerHealth>;
  /** Waits until the worker's health is as wanted. */
  until(wanted: (health: WorkerHealth) => boolean): Promise<void>;
  close(): Promise<void>;
}

interface OpenStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Raw server-sent events, comments included, as they come. */
  readonly events: AsyncIterator<string>;
  /** Closes the connection as a client that leaves does. */
  leave(): Promise<void>;
  /** Everything that is still to come. */
  rest(): Promise<readonly string[]>;
}

const send = async (client: Client, path: string, body: object) =>
  await client.request({
    method: "POST",
    path,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

export function workerHttp(socketPath: string): WorkerHttp {
  const clients = new Set<Client>();
  const newClient = (): Client => {
    const client = new Client("http://localhost", { socketPath, headersTimeout: 0, bodyTimeout: 0 });
    clients.add(client);
    return client;
  };
  const post: WorkerHttp["post"] = async (path, body) => {
    const response = await send(newClient(), path, { model: "tiny", ...body });
    return { status: response.statusCode, body: await response.body.json() };
  };
  const health = async (): Promise<WorkerHealth> => {
    const response = await newClient().request({ method: "GET", path: "/health" });
    return workerHealthSchema.parse(await response.body.json());
  };

  return {
    post,
    health,
    chat: async (body) => {
      const answer = await post("/v1/chat/completions", body);
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
      return chatCompletionSchema.parse(answer.body);
    },
    fails: async (path, body) => {
      const answer = await post(path, body);
      const { error } = errorEnvelopeSchema.parse(answer.body);
      return { ...error, status: answer.status, code: error.code, param: error.param };
    },
    stream: async (body) => {
      const client = newClient();
      const response = await send(client, "/v1/chat/completions", { model: "tiny", stream: true, ...body });
      const events = sseEvents(response.body);
      return {
        status: response.statusCode,
        headers: response.headers,
        events,
        leave: async () => {
          response.body.on("error", () => undefined);
          await client.destroy();
        },
        rest: async () => {
          const all: string[] = [];
          for (let next = await events.next(); next.done !== true; next = await events.next())
            all.push(next.value);
          return all;
        },
      };
    },
    until: async (wanted) => {
      while (!wanted(await health())) await delay(5);
    },
    close: async () => {
      await Promise.all([...clients].map((client) => client.destroy()));
    },
  };
}

async function* sseEvents(body: AsyncIterable<Buffer>): AsyncGenerator<string, void, void> {
  let held = "";
  for await (const bytes of body) {
    held += bytes.toString();
    const parts = held.split("\n\n");
    held = parts.pop() ?? "";
    yield* parts;
  }
  if (held !== "") yield held;
}

/** The chunks among the events; comments and the end mark are left out. */
export const chunksOf = (events: readonly string[]): readonly ChatCompletionChunk[] =>
  events
    .filter((event) => event.startsWith("data: {"))
    .map((event) => chatCompletionChunkSchema.parse(JSON.parse(event.slice(6))));

export const contentOf = (chunks: readonly ChatCompletionChunk[]): string =>
  chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
