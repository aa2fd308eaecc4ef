import { createParser, type EventSourceMessage } from "eventsource-parser";
import { request, type Dispatcher } from "undici";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import {
  FLEET_HEARTBEAT_MS,
  fleetStateEventSchema,
  type FleetStateEvent,
} from "../../protocol/gateway-api.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { bearer } from "../../protocol/headers/bearer.ts";
import type { GatewayAccess } from "./ask-gateway.ts";

/** What a follower of a fleet is told: changes, and how the connection is. */
export type FleetNotice =
  | { readonly kind: "fleet-told"; readonly event: FleetStateEvent }
  /** Tried again after `retryInMs`, from where it broke. */
  | { readonly kind: "stream-broken"; readonly problem: string; readonly retryInMs: number };

export interface FollowOptions extends GatewayAccess {
  /** Ends the following. */
  readonly signal: AbortSignal;
}

/** Heartbeats that may be missed before the stream counts as broken. */
const SILENCE_MS = 4 * FLEET_HEARTBEAT_MS;
const CONNECT_MS = 10_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

const KNOWN_KINDS: ReadonlySet<unknown> = new Set(
  fleetStateEventSchema.options.map(({ shape }) => shape.kind.value),
);

/**
 * Follows `GET /fleet/events` over every break until the signal aborts. Throws before the first event only: a wrong
 * address or a key that is refused is the caller's to mend.
 */
export async function* followFleet(options: FollowOptions): AsyncGenerator<FleetNotice, void, undefined> {
  const { clock, signal } = options;
  let lastEventId: string | undefined;
  let isKnown = false;
  let failures = 0;
  while (!signal.aborted) {
    let problem = "the gateway ended the events";
    try {
      for await (const { id, event } of readOnce(options, lastEventId)) {
        lastEventId = id;
        isKnown = true;
        failures = 0;
        yield { kind: "fleet-told", event };
      }
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toCortexError(thrown);
      if (!isKnown) throw error;
      problem = error.message;
    }
    if (signal.aborted) return;
    const retryInMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
    failures += 1;
    yield { kind: "stream-broken", problem, retryInMs };
    await sleptThrough(clock, retryInMs, signal);
  }
}

const NOTHING = (): void => undefined;

interface NumberedFleetEvent {
  readonly id: string | undefined;
  readonly event: FleetStateEvent;
}

async function* readOnce(
  options: FollowOptions,
  lastEventId: string | undefined,
): AsyncGenerator<NumberedFleetEvent, void, undefined> {
  const { clock, signal } = options;
  const silence = new AbortController();
  let cancel = NOTHING;
  const expectWithin = (durationMs: number): void => {
    cancel();
    cancel = clock.alarm(durationMs, () => {
      silence.abort(new CortexError("upstream_connection_error", `nothing came for ${durationMs / 1000} s`));
    });
  };
  try {
    expectWithin(CONNECT_MS);
    const response = await open(options, lastEventId, AbortSignal.any([signal, silence.signal]));
    expectWithin(SILENCE_MS);
    let events: NumberedFleetEvent[] = [];
    const parser = createParser({
      onEvent: (message) => {
        const told = readEvent(message);
        if (told !== undefined) events.push(told);
      },
    });
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      expectWithin(SILENCE_MS);
      parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      const read = events;
      events = [];
      yield* read;
    }
  } catch (thrown) {
    if (silence.signal.aborted) throw silence.signal.reason;
    throw thrown;
  } finally {
    cancel();
    silence.abort();
  }
}

async function open(
  { baseUrl, apiKey }: FollowOptions,
  lastEventId: string | undefined,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const headers = {
    ...bearer(apiKey),
    accept: "text/event-stream",
    ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
  };
  const response = await request(`${baseUrl}/fleet/events`, {
    headers,
    signal,
    headersTimeout: 0,
    bodyTimeout: 0,
  }).catch((thrown: unknown) => {
    if (signal.aborted) throw signal.reason;
    throw new CortexError("upstream_connection_error", `${baseUrl} does not answer`, {
      next: "name the gateway with --gateway; `cortex serve` starts one",
      cause: thrown,
    });
  });
  if (response.statusCode === 200) return response;
  throw fromErrorResponse(response.statusCode, await response.body.json(), "upstream_connection_error");
}

/** A kind that is not known belongs to a newer gateway and is left out. */
function readEvent({ id, data }: EventSourceMessage): NumberedFleetEvent | undefined {
  const said = parseJson(data);
  if (!isRecord(said) || !KNOWN_KINDS.has(said["kind"])) return undefined;
  const parsed = fleetStateEventSchema.safeParse(said);
  if (parsed.success) return { id, event: parsed.data };
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new CortexError("upstream_connection_error", `an event that no gateway sends (${at})`);
}
