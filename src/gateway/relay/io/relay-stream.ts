import type { Cancellation } from "../../../core/cancellation.ts";
import type { Clock } from "../../../core/clock.ts";
import { assertNever } from "../../../core/assert-never.ts";
import type { NeuronClient, RelayCall } from "../../../protocol/io/neuron-client.ts";
import type { AnswerHeaders } from "../../../protocol/wire/answer-head.ts";
import type { CallControl, CallHandler } from "../../../protocol/wire/io/wire-connection.ts";
import { failureCode } from "../../../protocol/neuron-failure.ts";
import { AnswerWatch, type AnswerLimits } from "../answer-watch.ts";
import { comment } from "../sse-framing.ts";
import { AnswerRelay, type AnswerCost, type RelayAction, type RelayResult } from "../relay-answer.ts";
import type { AnswerSink } from "./client-response.ts";

/** The usage comes right behind the last event of a stream. */
const USAGE_WAIT_MS = 1000;

/** Whoever has the request sent: is told, and asked. */
export interface RelayAsker {
  /** Gets what tells the cost so far, before anything of an answer comes. */
  relayBegun(costSoFar: () => AnswerCost): void;
  firstContentCame(): void;
  /** Told once, when the attempt is over. */
  relayCost(cost: AnswerCost): void;
  /** An event that says nothing; null where the dialect has none. */
  keepAliveEvent(): string | null;
  /** The health check has found that the neuron does not answer. */
  isNeuronHung(neuron: string): boolean;
}

export interface RelayOptions {
  readonly clock: Clock;
  readonly neuron: NeuronClient;
  readonly call: RelayCall;
  readonly client: AnswerSink;
  /** When the client leaves or the gateway stops; the neuron's slot is freed at once. */
  readonly cancellation: Cancellation;
  readonly asker: RelayAsker;
  readonly limits: AnswerLimits;
  readonly isStreamed: boolean;
  /** The answer is of no dialect: it is whole where HTTP says so, and its length tells no tokens. */
  readonly isOpaque: boolean;
  /** Looks at the answer every now and then, until the returned function is called. */
  readonly watch: (look: (nowMs: number) => void) => () => void;
}

/** Sends one request to one neuron and passes the answer through, byte for byte and no faster than it is read. */
export function relayRequest(options: RelayOptions): Promise<RelayResult> {
  const relay = new RelayStream(options);
  relay.start();
  return relay.result;
}

/** Carries out what `AnswerRelay` says. */
class RelayStream implements CallHandler {
  readonly result: Promise<RelayResult>;
  readonly #resolve: (result: RelayResult) => void;
  readonly #options: RelayOptions;
  readonly #answer: AnswerRelay;
  #controller: CallControl | null = null;
  #stopped = false;
  #cancelWait: (() => void) | null = null;
  #listensForDrain = false;
  #isPaused = false;
  #signs = 0;
  readonly #watch: AnswerWatch;
  #stopWatching: () => void = () => undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#watch = new AnswerWatch(options.limits, options.clock.monotonicMs());
    this.#answer = new AnswerRelay(options.neuron.name, options.client.headersSent, options.isOpaque);
    const { promise, resolve } = Promise.withResolvers<RelayResult>();
    this.result = promise;
    this.#resolve = resolve;
  }

  start(): void {
    const { neuron, call, cancellation } = this.#options;
    if (cancellation.isCancelled) {
      this.#onAbort();
      return;
    }
    cancellation.listen(this.#onAbort);
    this.#options.asker.relayBegun(() => this.#answer.cost);
    this.#stopWatching = this.#options.watch(this.#look);
    try {
      neuron.dispatch(call, this);
    } catch (thrown) {
      this.#carryOut(this.#answer.connectionBroke(failureCode(thrown)));
    }
  }

  readonly #onAbort = (): void => {
    this.#stopped = true;
    // First the result: the abort reports itself as an error of the answer, within the call.
    this.#carryOut(this.#answer.requestStopped());
    // Before the connection stands there is nothing to abort yet; onRequestStart then does it.
    this.#controller?.abort(new Error("the client is gone"));
  };

  readonly #look = (nowMs: number): void => {
    const { client, isStreamed, asker, neuron } = this.#options;
    const answer = this.#answer;
    const verdict = this.#watch.look({
      nowMs,
      signs: this.#signs,
      events: answer.events,
      isStreamed,
      isBegun: answer.isBegun,
      headSent: client.headersSent,
      isPaused: this.#isPaused,
      isBetweenEvents: answer.isBetweenEvents,
      isNeuronHung: asker.isNeuronHung(neuron.name),
    });
    if (verdict === "keep-alive") this.#keepAlive();
    else if (verdict === "hung") this.#carryOut(answer.neuronSilent("NEURON_HUNG"));
    else if (verdict === "silent") this.#carryOut(answer.neuronSilent("NEURON_SILENT"));
  };

  #keepAlive(): void {
    const { client, asker } = this.#options;
    client.keepAlive(asker.keepAliveEvent() ?? comment("waiting"));
    this.#answer.headWasSent();
  }

  onRequestStart(controller: CallControl): void {
    this.#controller = controller;
    if (this.#stopped) controller.abort(new Error("the client is gone"));
  }

  onResponseStart(_controller: CallControl, status: number, headers: AnswerHeaders): void {
    this.#signs += 1;
    this.#answer.headReceived(status, headers);
    if (status >= 200) this.#options.client.upstreamHead(headers);
  }

  onResponseData(controller: CallControl, chunk: Buffer): void {
    this.#signs += 1;
    if (!this.#carryOut(this.#answer.bytesReceived(chunk))) this.#pauseUntilDrain(controller);
  }

  onResponseEnd(_controller: CallControl, trailers: AnswerHeaders): void {
    this.#carryOut(this.#answer.answerEnded(trailers));
  }

  onResponseError(_controller: CallControl | null, thrown: Error): void {
    this.#carryOut(this.#answer.connectionBroke(failureCode(thrown)));
  }

  /** False when the client reads slower than bytes come. */
  #carryOut(actions: readonly RelayAction[]): boolean {
    let keepsUp = true;
    for (const action of actions) {
      if (action.kind === "write-bytes") keepsUp = this.#options.client.write(action.bytes);
      else this.#do(action);
    }
    return keepsUp;
  }

  #do(action: Exclude<RelayAction, { kind: "write-bytes" }>): void {
    const { client, asker, cancellation } = this.#options;
    switch (action.kind) {
      case "send-head":
        client.writeHead(action.status, action.headers);
        return;
      case "note-first-content":
        asker.firstContentCame();
        return;
      case "end-answer":
        client.end();
        return;
      case "fail-answer":
        client.fail(action.error);
        return;
      case "pass-on-error":
        client.endWithEvent(action.envelope);
        return;
      case "cut-answer":
        client.cut();
        return;
      case "await-usage":
        this.#cancelWait = this.#options.clock.alarm(USAGE_WAIT_MS, () => {
          this.#carryOut(this.#answer.usageOverdue());
        });
        return;
      case "abort-upstream":
        this.#controller?.abort(new Error("no answer will come of it"));
        return;
      case "conclude":
        cancellation.forget(this.#onAbort);
        this.#cancelWait?.();
        asker.relayCost(this.#answer.cost);
        this.#stopWatching();
        this.#resolve(action.result);
        return;
      default:
        assertNever(action);
    }
  }

  #pauseUntilDrain(controller: CallControl): void {
    controller.pause();
    this.#isPaused = true;
    if (this.#listensForDrain) return;
    this.#listensForDrain = true;
    this.#options.client.onDrain(() => {
      this.#isPaused = false;
      controller.resume();
    });
  }
}
