import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isRecord, parseJson } from "../../../src/core/json.ts";
import type { ConformDialectName } from "../../../src/client/conform/dialects.ts";
import { SPEECH, type Speech, type Spoken, type SpokenEvent } from "./spoken-answers.ts";

export const REFERENCE_MODEL = "reference/model";
const CONTEXT_WORDS = 100;
const PLACES = 4;

type Fields = Record<string, unknown>;

interface Refusal {
  readonly status: number;
  readonly body: unknown;
  readonly type: string;
}

/** What a server does wrong; nothing in it: it does everything right. */
export interface Fault {
  readonly list?: (list: Fields) => unknown;
  readonly spoken?: (spoken: Spoken) => Spoken;
  readonly whole?: (answer: Fields) => unknown;
  readonly events?: (events: readonly SpokenEvent[]) => readonly SpokenEvent[];
  readonly refusal?: (refusal: Refusal) => Refusal;
  readonly streamType?: string;
  readonly breaksStreams?: true;
  readonly refusesHints?: true;
  readonly refusesResults?: true;
  readonly ignoresDemand?: true;
  readonly keepsPlaces?: true;
  readonly isSilent?: true;
}

export interface ReferenceServer extends AsyncDisposable {
  readonly url: string;
}

const MODEL_LISTS = new Set(["/v1/models", "/api/tags"]);

/** A server of one dialect that is right in everything but its fault. `jump` moves the clock of whoever asks it. */
export async function startReference(
  dialect: ConformDialectName,
  fault: Fault,
  jump: (ms: number) => void,
): Promise<ReferenceServer> {
  const answering = new Answering(SPEECH[dialect], fault, { isLines: dialect === "ollama", jump });
  const server = createServer((request, response) => {
    void answering.handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

class Answering {
  readonly #speech: Speech;
  readonly #fault: Fault;
  readonly #manner: { readonly isLines: boolean; readonly jump: (ms: number) => void };
  #answers = 0;
  #taken = 0;
  #waiting: (() => void)[] = [];

  constructor(
    speech: Speech,
    fault: Fault,
    manner: { readonly isLines: boolean; readonly jump: (ms: number) => void },
  ) {
    this.#speech = speech;
    this.#fault = fault;
    this.#manner = manner;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    if (MODEL_LISTS.has(request.url ?? "")) {
      const list = this.#speech.list([REFERENCE_MODEL]);
      this.#send(response, { status: 200, body: this.#fault.list?.(list) ?? list, type: "application/json" });
      return;
    }
    const text = Buffer.concat(pieces).toString("utf8");
    const body = parseJson(text);
    const wrong = this.#refusalOf(body, text);
    if (wrong !== null) this.#send(response, this.#fault.refusal?.(wrong) ?? wrong);
    else await this.#answer(body as Fields, text, response);
  }

  #refusalOf(body: unknown, text: string): Refusal | null {
    const refuse = (status: number, code: string, message: string): Refusal => ({
      status,
      body: this.#speech.error(status, code, message),
      type: "application/json",
    });
    if (!isRecord(body)) return refuse(400, "malformed_json", "not JSON");
    if (typeof body["model"] !== "string") return refuse(400, "missing_model", "no model");
    if (body["model"] !== REFERENCE_MODEL) return refuse(404, "model_not_found", "no such model");
    if (!Array.isArray(body["messages"] ?? body["input"])) return refuse(400, "invalid", "no list");
    const words = text.split(" ").length;
    if (words > CONTEXT_WORDS * 2) {
      const message = `This model's maximum context length is ${CONTEXT_WORDS} tokens: prompt is too long: ${words} tokens > ${CONTEXT_WORDS} maximum`;
      return refuse(400, "context_length_exceeded", message);
    }
    if (this.#fault.refusesHints === true && /"conform_unknown_field"|"prompt_cache_key"/.test(text)) {
      return refuse(400, "unknown_field", "Extra inputs are not permitted");
    }
    const isResult = text.includes("18 degrees");
    return isResult && this.#fault.refusesResults === true ? refuse(422, "no_tools", "no results") : null;
  }

  async #answer(body: Fields, text: string, response: ServerResponse): Promise<void> {
    if (this.#taken >= PLACES) {
      if (this.#fault.keepsPlaces === true) {
        this.#send(response, {
          status: 503,
          body: this.#speech.error(503, "full", "full"),
          type: "application/json",
        });
        return;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const spoken = this.#speak(body, text);
    if (text.includes("Count from")) {
      this.#hold(spoken, body["stream"] === true, response);
      return;
    }
    if (body["stream"] === true) this.#stream(spoken, response);
    else {
      const answer = this.#speech.whole(spoken);
      this.#send(response, {
        status: 200,
        body: this.#fault.whole?.(answer) ?? answer,
        type: "application/json",
      });
    }
  }

  /** Answers until its client has left. */
  #hold(spoken: Spoken, isStream: boolean, response: ServerResponse): void {
    this.#taken += 1;
    response.on("close", () => {
      if (this.#fault.keepsPlaces === true) return;
      this.#taken -= 1;
      this.#waiting.shift()?.();
    });
    if (!isStream) return;
    response.writeHead(200, { "content-type": this.#streamType() });
    const [one, other] = this.#speech.events(spoken);
    response.write([one, other].map((event) => this.#frame(event)).join(""));
  }

  #stream(spoken: Spoken, response: ServerResponse): void {
    response.writeHead(200, { "content-type": this.#fault.streamType ?? this.#streamType() });
    const events = this.#speech.events(spoken);
    const sent = (this.#fault.events?.(events) ?? events).map((event) => this.#frame(event));
    if (this.#fault.isSilent === true) {
      response.write(sent[0], () => {
        this.#manner.jump(20_000);
        response.end(sent.slice(1).join(""));
      });
    } else if (this.#fault.breaksStreams === true) {
      response.write(sent.join(""), () => response.destroy());
    } else response.end(sent.join(""));
  }

  #streamType(): string {
    return this.#manner.isLines ? "application/x-ndjson" : "text/event-stream; charset=utf-8";
  }

  #frame(event: SpokenEvent | undefined): string {
    if (event === undefined) return "";
    const data = typeof event.data === "string" ? event.data : JSON.stringify(event.data);
    if (this.#manner.isLines) return `${data}\n`;
    return `${event.name === undefined ? "" : `event: ${event.name}\n`}data: ${data}\n\n`;
  }

  #speak(body: Fields, text: string): Spoken {
    this.#answers += 1;
    const isCut = /"(?:max_tokens|max_output_tokens|num_predict)":3\b/.test(text);
    const demanded = /"(?:tool_choice)":\{[^}]*"name":"(\w+)"/.exec(text)?.[1];
    const calls = Array.isArray(body["tools"]) && !text.includes("18 degrees");
    const name = demanded ?? "get_weather";
    const json = name === "get_time" ? "{}" : '{"city":"Lisbon"}';
    const ignored = demanded !== undefined && this.#fault.ignoresDemand === true;
    const spoken: Spoken = {
      id: this.#answers,
      model: REFERENCE_MODEL,
      thinking: "well",
      words: ["cortex ", "is ", "one"],
      call: calls && !ignored ? { id: `call_${this.#answers}`, name, json } : null,
      isCut,
      input: 7,
      output: isCut ? 3 : 5,
    };
    return this.#fault.spoken?.(spoken) ?? spoken;
  }

  #send(response: ServerResponse, { status, body, type }: Refusal): void {
    response.writeHead(status, { "content-type": type });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }
}
