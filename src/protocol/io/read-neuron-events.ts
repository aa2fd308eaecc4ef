import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { Dispatcher, Pool } from "undici";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import { EVENT_HEARTBEAT_MS, neuronEventSchema, type NeuronEvent } from "../neuron-events.ts";
import { connectionProblem, neuronRefusal, neuronTrouble, type CalledNeuron } from "../neuron-failure.ts";
import { readBoundedText } from "./bounded-body.ts";

/** An event with what `Last-Event-ID` is to say for the stream to go on after it. */
export interface NumberedEvent {
  readonly id: string;
  readonly event: NeuronEvent;
}

export interface EventSource {
  readonly neuron: CalledNeuron;
  readonly pool: Pool;
  readonly prefix: string;
  readonly credentials: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** How long the head may take; the stream itself has no deadline, only heartbeats. */
  readonly callTimeoutMs: number;
}

/** Heartbeats that may be missed before the stream counts as broken. */
const SILENCE_MS = 4 * EVENT_HEARTBEAT_MS;
const REFUSAL_LIMIT_MIB = 1;
/** A snapshot of the busiest neuron is some hundred KiB. */
const EVENT_LIMIT_CHARACTERS = 16 * MIB_BYTES;
const KNOWN_KINDS: ReadonlySet<unknown> = new Set(
  neuronEventSchema.options.map(({ shape }) => shape.kind.value),
);

/** Reads the events of a neuron until the stream breaks; see `NeuronClient.events`. */
export async function* readNeuronEvents(
  source: EventSource,
  from: { readonly lastEventId: string | undefined; readonly signal: AbortSignal },
): AsyncGenerator<readonly NumberedEvent[], void, undefined> {
  const { neuron } = source;
  const watch = new SilenceWatch(source, from.signal);
  try {
    const response = await open(source, from.lastEventId, watch.signal);
    if (response.statusCode !== 200) {
      const text = await readBoundedText(response.body, REFUSAL_LIMIT_MIB);
      const answer = { status: response.statusCode, headers: response.headers, body: parseJson(text) };
      throw neuronRefusal(neuron, answer, source.clock.nowMs());
    }
    const reader = new EventReader(neuron);
    const decoder = new TextDecoder();
    watch.expectWithin(SILENCE_MS);
    for await (const bytes of response.body) {
      watch.expectWithin(SILENCE_MS);
      yield reader.read(decoder.decode(bytes as Uint8Array, { stream: true }));
    }
  } catch (thrown) {
    if (watch.signal.aborted) throw watch.signal.reason;
    if (thrown instanceof CortexError) throw thrown;
    throw neuronTrouble(neuron, connectionProblem(thrown), thrown);
  } finally {
    watch.end();
  }
  throw neuronTrouble(neuron, "the events ended");
}

function open(
  { pool, prefix, credentials }: EventSource,
  lastEventId: string | undefined,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  return pool.request({
    method: "GET",
    path: `${prefix}/events`,
    headers: {
      ...credentials,
      accept: "text/event-stream",
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    },
    signal,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

/** Aborts when nothing came for too long, or when the caller does. */
class SilenceWatch {
  readonly #source: EventSource;
  readonly #caller: AbortSignal;
  readonly #cut = new AbortController();
  readonly #onAbort: () => void;
  #cancel: () => void = () => undefined;

  constructor(source: EventSource, caller: AbortSignal) {
    this.#source = source;
    this.#caller = caller;
    this.#onAbort = () => {
      this.#cut.abort(caller.reason);
    };
    if (caller.aborted) this.#onAbort();
    caller.addEventListener("abort", this.#onAbort, { once: true });
    this.expectWithin(source.callTimeoutMs);
  }

  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  expectWithin(durationMs: number): void {
    const { clock, neuron } = this.#source;
    this.#cancel();
    this.#cancel = clock.alarm(durationMs, () => {
      this.#cut.abort(neuronTrouble(neuron, `no event and no heartbeat within ${durationMs / 1000} s`));
    });
  }

  end(): void {
    this.#cancel();
    this.#caller.removeEventListener("abort", this.#onAbort);
    // Also where the reader stopped reading: the connection is not left half used.
    this.#cut.abort();
  }
}

class EventReader {
  readonly #neuron: CalledNeuron;
  readonly #parser = createParser({
    onEvent: (message) => {
      this.#take(message);
    },
  });
  #unfinished = 0;
  #events: NumberedEvent[] = [];

  constructor(neuron: CalledNeuron) {
    this.#neuron = neuron;
  }

  read(text: string): readonly NumberedEvent[] {
    this.#events = [];
    this.#unfinished += text.length;
    if (this.#unfinished > EVENT_LIMIT_CHARACTERS) {
      throw neuronTrouble(this.#neuron, "sends an event without an end");
    }
    this.#parser.feed(text);
    if (text.includes("\n\n")) this.#unfinished = 0;
    return this.#events;
  }

  /** A kind that is not known belongs to a newer neuron and is left out; a known one must be whole. */
  #take({ id, data }: EventSourceMessage): void {
    const said = parseJson(data);
    if (!isRecord(said) || !KNOWN_KINDS.has(said["kind"])) return;
    const parsed = neuronEventSchema.safeParse(said);
    if (!parsed.success || id === undefined) {
      const at = parsed.error?.issues[0]?.path.join(".") ?? "id";
      throw neuronTrouble(this.#neuron, `sends an event that no neuron sends (${at})`);
    }
    this.#events.push({ id, event: parsed.data });
  }
}
