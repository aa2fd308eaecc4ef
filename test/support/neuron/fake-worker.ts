// A model worker without a model: speaks the neuron's IPC, serves canned answers on the socket, and fails on
// request. How it loads is written in the model file, after the magic bytes; how it answers, in the request.
import { appendFileSync, existsSync, readFileSync, watch } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import type { FakeChat, FakeScript } from "./fake-worker-model.ts";

interface Start {
  readonly kind: "start-worker";
  readonly socket_path: string;
  readonly model_path: string;
  readonly model_id: string;
  readonly context?: number;
  readonly parallel: number;
  readonly gpu: boolean;
  readonly device_environment?: Readonly<Record<string, string>>;
}

const sayReady = (start: Start, script: FakeScript): void => {
  process.send?.({
    kind: "model-loaded",
    facts: {
      context_tokens: start.context ?? 2048,
      trained_context_tokens: 2048,
      max_output_tokens: 1024,
      capabilities: ["text"],
      tool_call: false,
      reasoning: false,
      memory_bytes: script.memoryBytes,
      parallel: start.parallel,
      architecture: "fake",
      parameter_count: null,
    },
  });
};

/** Tells the test what happened, in the order it happened. */
const record = (script: FakeScript, event: string): void => {
  appendFileSync(script.eventsFile, `${event}\n`);
};

/** Settles once the test has made the file. */
const gateOpens = (path: string): Promise<void> =>
  new Promise((resolve) => {
    const watcher = watch(dirname(path), () => {
      check();
    });
    const check = () => {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    };
    check();
  });

async function load(start: Start): Promise<void> {
  Object.assign(process.env, start.device_environment);
  const script = JSON.parse(readFileSync(start.model_path).subarray(4).toString("utf8")) as FakeScript;
  record(
    script,
    `start ${JSON.stringify({
      gpu: start.gpu,
      cuda: process.env["CUDA_VISIBLE_DEVICES"],
      secret: process.env["MY_API_KEY"] ?? null,
      socket: start.socket_path,
    })}`,
  );
  if (script.onStop === "ignore") process.on("SIGTERM", () => undefined);
  process.on("message", (message: { readonly kind: string }) => {
    if (message.kind === "stop-worker" && script.onStop !== "ignore") process.exit(0);
  });
  process.send?.({ kind: "load-progressed", fraction: 0.5 });
  if (script.load === "never") return;
  if (script.load === "fail") {
    process.stderr.write("the engine said: no\n");
    process.send?.({ kind: "load-failed", code: "model_file_invalid", message: "not a model" }, () =>
      process.exit(1),
    );
    return;
  }
  if (script.load === "crash") {
    process.stderr.write("about to abort\n");
    process.kill(process.pid, "SIGABRT");
    return;
  }
  await listen(answerRequests(start, script), start.socket_path);
  if (script.loadGate !== undefined) await gateOpens(script.loadGate);
  sayReady(start, script);
}

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve) => server.listen(path, resolve));

const chunkOf = (text: string): string =>
  `data: ${JSON.stringify({ object: "chat.completion.chunk", choices: [{ index: 0, delta: { content: text } }] })}\n\n`;

const answerRequests = (start: Start, script: FakeScript): Server =>
  createServer((request, response) => {
    void answer({ start, script, request, response });
  });

interface Exchange {
  readonly start: Start;
  readonly script: FakeScript;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer(exchange: Exchange): Promise<void> {
  const { script, request, response } = exchange;
  if (request.url === "/health") {
    response.end("{}");
    return;
  }
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString("utf8");
  const how = (JSON.parse(text) as { readonly fake?: FakeChat }).fake ?? "echo";
  response.on("close", () => {
    if (!response.writableFinished) record(script, "client-gone");
  });
  record(script, `request ${how}`);
  await CHATS[how](exchange, text);
}

const EVENT_STREAM = { "content-type": "text/event-stream" };
const JSON_BODY = { "content-type": "application/json" };

const CHATS: Record<FakeChat, (exchange: Exchange, text: string) => void | Promise<void>> = {
  echo: ({ start, request, response }, text) => {
    response.writeHead(200, { ...JSON_BODY, "x-worker": "fake", "keep-alive": "timeout=5" });
    response.end(
      JSON.stringify({ model: start.model_id, path: request.url, headers: request.headers, body: text }),
    );
  },
  stream: ({ response }) => {
    response.writeHead(200, EVENT_STREAM);
    for (const word of ["one", "two", "three"]) response.write(chunkOf(word));
    response.end("data: [DONE]\n\n");
  },
  endless: async ({ script, response }) => {
    response.writeHead(200, EVENT_STREAM);
    while (!response.destroyed) {
      if (!response.write(chunkOf("x".repeat(1000)))) {
        record(script, "held-back");
        await drained(response);
        record(script, "released");
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
  silent: () => undefined,
  "silent-stream": ({ response }) => {
    response.writeHead(200, EVENT_STREAM);
    response.write(chunkOf("one"));
  },
  "crash-before": () => {
    process.stderr.write("segfault soon\n");
    process.kill(process.pid, "SIGKILL");
  },
  "crash-mid-stream": ({ response }) => {
    response.writeHead(200, EVENT_STREAM);
    response.write(chunkOf("one"), () => process.kill(process.pid, "SIGSEGV"));
  },
  "crash-mid-event": ({ response }) => {
    response.writeHead(200, EVENT_STREAM);
    response.write(`${chunkOf("one")}data: {"cho`, () => process.kill(process.pid, "SIGKILL"));
  },
  "crash-mid-json": ({ response }) => {
    response.writeHead(200, { ...JSON_BODY, "content-length": "1000" });
    response.write('{"half":', () => process.kill(process.pid, "SIGKILL"));
  },
  refuse: ({ response }) => {
    response.writeHead(400, { ...JSON_BODY, "retry-after": "7" });
    response.end(JSON.stringify({ error: { message: "no", type: "x", code: "unsupported_parameter" } }));
  },
};

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      response.off("drain", go);
      response.off("close", go);
      resolve();
    };
    response.on("drain", go);
    response.on("close", go);
  });

process.on("disconnect", () => process.exit(0));
process.once("message", (message: Start) => {
  if (message.kind === "start-worker") void load(message);
});
