import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { CortexError, errorKind, isErrorCode } from "../../../core/errors.ts";
import { errorEnvelopeSchema } from "../../../protocol/error-envelope.ts";
import { clientResponseHeaders } from "../header-policy.ts";
import { EventFramer, firstErrorOf, isOnlyComments } from "../sse-framing.ts";
import type { ClientResponse } from "./client-response.ts";
import type { NeuronClient, RelayCall } from "../../../protocol/io/neuron-client.ts";
import { failureCode } from "../../../protocol/neuron-failure.ts";

/** Largest error answer that is read before it is passed on; a longer one is passed on as it comes. */
const MAX_ERROR_BYTES = 64 * 1024;

export interface RelayOptions {
  readonly neuron: NeuronClient;
  readonly call: RelayCall;
  readonly client: ClientResponse;
  /** Aborts when the client leaves or the gateway stops; the neuron's slot is freed at once. */
  readonly signal: AbortSignal;
  readonly onFirstContent: () => void;
}

/** A neuron's error answer, kept until it is known whether the request is sent elsewhere. */
export interface HeldAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  readonly code: string | null;
}

export type RelayResult =
  | { readonly kind: "completed"; readonly status: number }
  /** Nothing of an answer has come. */
  | { readonly kind: "failed_before_answer"; readonly code: string }
  /** The neuron answered with an error; nothing of it has been passed on. */
  | { readonly kind: "answered_error"; readonly answer: HeldAnswer }
  /** The answer broke off under way; the client has been told. */
  | { readonly kind: "cut" }
  | { readonly kind: "aborted" };

/** Sends one request to one neuron and passes the answer through, byte for byte and no faster than it is read. */
export function relayRequest(options: RelayOptions): Promise<RelayResult> {
  const relay = new Relay(options);
  relay.start();
  return relay.result;
}

class Relay implements Dispatcher.DispatchHandler {
  readonly result: Promise<RelayResult>;
  readonly #options: RelayOptions;
  readonly #settle: (result: RelayResult) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: Record<string, string | string[]> = {};
  /** Error bytes that are kept back; null once the answer is passed on as it comes. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;
  /** Present when the answer is an event stream. */
  #framer: EventFramer | null = null;
  /** Bytes of the answer itself have gone to the client; comments do not count. */
  #answerBegun = false;
  #listensForDrain = false;
  #settled = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<RelayResult>();
    this.result = promise;
    this.#settle = resolve;
  }

  start(): void {
    const { neuron, call, signal } = this.#options;
    if (signal.aborted) {
      this.#finish({ kind: "aborted" });
      return;
    }
    signal.addEventListener("abort", this.#onAbort, { once: true });
    try {
      neuron.dispatch(call, this);
    } catch (thrown) {
      this.#finish({ kind: "failed_before_answer", code: failureCode(thrown) });
    }
  }

  readonly #onAbort = (): void => {
    // First the result: the abort reports itself as an error of the answer, within the call.
    this.#finish({ kind: "aborted" });
    // Before the connection stands there is nothing to abort yet; onRequestStart then does it.
    this.#controller?.abort(new Error("the client is gone"));
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error("the client is gone"));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200) return;
    const { neuron } = this.#options;
    this.#status = status;
    this.#headers = clientResponseHeaders(headers, { "x-cortex-neuron": neuron.name });
    if (status >= 400) this.#held = [];
    else if (isEventStream(headers)) {
      this.#framer = new EventFramer();
      // Nothing is known of its length any more once it may end in an error event.
      delete this.#headers["content-length"];
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    if (this.#held !== null) {
      this.#hold(controller, chunk);
      return;
    }
    const bytes = this.#framer === null ? chunk : this.#framer.push(chunk);
    if (bytes !== null) this.#passOn(controller, bytes);
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    if (this.#held !== null) {
      this.#answerError(Buffer.concat(this.#held));
      return;
    }
    if (this.#framer !== null) this.#endStream(this.#framer);
    else this.#endPlain();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, thrown: Error): void {
    if (this.#settled) return;
    if (this.#answerBegun) this.#cutShort(failureCode(thrown));
    else this.#finish({ kind: "failed_before_answer", code: failureCode(thrown) });
  }

  #answerError(body: Buffer): void {
    const code = envelopeCode(body);
    const answer = { status: this.#status, headers: this.#headers, body, code };
    if (this.#framer !== null) {
      // A stream that begins with an error has had no chance to say so by status.
      answer.status = isErrorCode(code) ? errorKind(code).httpStatus : 502;
      answer.headers = { ...this.#headers, "content-type": "application/json" };
    }
    this.#finish({ kind: "answered_error", answer });
  }

  #hold(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const held = this.#held ?? [];
    held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes <= MAX_ERROR_BYTES) return;
    this.#held = null;
    this.#passOn(controller, Buffer.concat(held));
  }

  #passOn(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    const { client } = this.#options;
    if (!this.#answerBegun) {
      const error = this.#framer === null ? undefined : firstErrorOf(bytes);
      if (error !== undefined || !this.#sendHead()) {
        if (error !== undefined) this.#answerError(Buffer.from(error));
        controller.abort(new Error("no answer will come of it"));
        return;
      }
      this.#answerBegun = this.#framer === null || !isOnlyComments(bytes);
      this.#resumeOnDrain(controller);
    }
    if (this.#framer?.contentSeen === false && this.#framer.isFirstContent(bytes)) {
      this.#options.onFirstContent();
    }
    if (!client.write(bytes)) controller.pause();
  }

  #resumeOnDrain(controller: Dispatcher.DispatchController): void {
    if (this.#listensForDrain) return;
    this.#listensForDrain = true;
    this.#options.client.onDrain(() => {
      controller.resume();
    });
  }

  /** Sends the head unless it is out. False when a client that was promised an event stream would get something else. */
  #sendHead(): boolean {
    const { client, neuron } = this.#options;
    if (!client.headersSent) client.writeHead(this.#status, this.#headers);
    else if (this.#framer === null) {
      const message = `neuron ${neuron.name} answered a streaming request with something else than a stream`;
      client.fail(new CortexError("upstream_connection_error", message));
      this.#finish({ kind: "cut" });
      return false;
    }
    return true;
  }

  #endPlain(): void {
    if (!this.#answerBegun && !this.#sendHead()) return;
    this.#options.client.end();
    this.#finish({ kind: "completed", status: this.#status });
  }

  #endStream(framer: EventFramer): void {
    if (!framer.endedWithDone()) {
      if (this.#answerBegun) this.#cutShort("no terminator");
      else this.#finish({ kind: "failed_before_answer", code: "UND_ERR_SOCKET" });
      return;
    }
    const rest = framer.rest();
    if (!this.#answerBegun && !this.#sendHead()) return;
    if (rest !== null) this.#options.client.write(rest);
    this.#options.client.end();
    this.#finish({ kind: "completed", status: this.#status });
  }

  #cutShort(reason: string): void {
    const { client, neuron } = this.#options;
    const framer = this.#framer;
    // The neuron may have told the client itself; a second error event would only hide the first.
    if (framer === null || framer.reportedError()) client.cut();
    else {
      if (framer.insideEvent) client.write(Buffer.from("\n\n"));
      const message = `neuron ${neuron.name} broke off the stream (${reason}); what was received is incomplete`;
      client.fail(new CortexError("upstream_cut_stream", message, { details: { neuron: neuron.name } }));
    }
    this.#finish({ kind: "cut" });
  }

  #finish(result: RelayResult): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#settle(result);
  }
}

const isEventStream = (headers: IncomingHttpHeaders): boolean =>
  headers["content-type"]?.startsWith("text/event-stream") === true;

function envelopeCode(body: Buffer): string | null {
  try {
    const parsed = errorEnvelopeSchema.safeParse(JSON.parse(body.toString("utf8")));
    return parsed.success ? (parsed.data.error.code ?? null) : null;
  } catch {
    return null;
  }
}
