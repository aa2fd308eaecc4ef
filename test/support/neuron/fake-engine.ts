// An engine of somebody else: OpenAI's API on the port it is told, and the ways in which such engines fail. What it is
// told is in its first argument, as JSON.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

interface Told {
  readonly port: number;
  readonly model: string;
  readonly fault?: string;
  readonly token?: string;
}

interface Asked {
  readonly model?: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly temperature?: number;
}

const { port, model, fault = "none", token } = JSON.parse(process.argv[2] ?? "{}") as Told;

const usage = {
  prompt_tokens: 7,
  completion_tokens: 2,
  total_tokens: 9,
  prompt_tokens_details: { cached_tokens: 3 },
};

const say = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};

function stream(request: Asked, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const event = (body: unknown) => response.write(`data: ${JSON.stringify(body)}\n\n`);
  event({ choices: [{ index: 0, delta: { content: "a" } }] });
  if (fault === "cuts") setImmediate(() => response.destroy());
  else if (fault === "dies") setImmediate(() => process.exit(9));
  if (fault !== "none" && fault !== "no-options") return;
  event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  if (request.stream_options?.include_usage === true) event({ choices: [], usage });
  response.end("data: [DONE]\n\n");
}

function answer(text: string, response: ServerResponse): void {
  const request = JSON.parse(text) as Asked;
  const refused = refusalOf(request);
  if (refused !== null) say(response, refused[0], refused[1]);
  else if (request.stream === true) stream(request, response);
  else {
    const message = { role: "assistant", content: text };
    say(response, 200, { model, choices: [{ index: 0, message }], usage });
  }
}

function refusalOf(request: Asked): readonly [number, unknown] | null {
  if (request.model !== model) return [404, { message: `no model ${request.model ?? ""}` }];
  if (fault === "no-options" && request.stream_options !== undefined) {
    return [400, { detail: [{ loc: ["body", "stream_options"], msg: "Extra inputs are not permitted" }] }];
  }
  if (request.temperature === 9) return [422, { detail: [{ loc: ["body", "temperature"], msg: "too hot" }] }];
  if (request.temperature === 8) return [500, { detail: "/opt/engine/secret.py line 3" }];
  return null;
}

async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = "";
  for await (const chunk of incoming) text += String(chunk);
  if (token !== undefined && incoming.headers.authorization !== `Bearer ${token}`) {
    say(response, 401, { error: { message: "who are you" } });
  } else if (incoming.url === "/v1/models") {
    say(response, 200, { object: "list", data: [{ id: model, object: "model", max_model_len: 2048 }] });
  } else if (incoming.url === "/v1/chat/completions") answer(text, response);
  else say(response, 404, { detail: "Not Found" });
}

process.stdout.write(`engine starts with fault ${fault}\n`);
if (fault === "exits") {
  process.stderr.write("no such weights\n");
  process.exit(3);
}
if (fault === "ignores-term") process.on("SIGTERM", () => process.stdout.write("not now\n"));
const server = createServer((incoming, response) => void serve(incoming, response));
if (fault === "never-ready") setInterval(() => undefined, 1000);
else server.listen(port, "127.0.0.1");
