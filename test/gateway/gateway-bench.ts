import type { NeuronAccess } from "../../src/protocol/io/neuron-client.ts";
import { pino } from "pino";
import { afterEach, expect } from "vitest";
import type { Clock } from "../../src/core/clock.ts";
import { gatewayTableSchema } from "../../src/fleet/schema/gateway-table.ts";
import { fleetSchema, type Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import type { GatewayConfig } from "../../src/gateway/gateway-config.ts";
import { startGateway, type RunningGateway } from "../../src/gateway/io/start-gateway.ts";
import { systemClock } from "../../src/platform/system-clock.ts";
import type { ManualClock } from "../support/manual-clock.ts";
import { FakeNeuron, type FakeNeuronOptions } from "../support/neuron/fake-neuron.ts";

const opened: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A fake neuron that is stopped after the test. */
export async function fakeNeuron(options: FakeNeuronOptions = {}): Promise<FakeNeuron> {
  const neuron = await FakeNeuron.start(options);
  opened.push(() => neuron.stop());
  return neuron;
}

type ModelFields = { readonly id: string } & Readonly<Record<string, unknown>>;

/** Parsed fleet files with these neurons and models; everything else has its default. */
export const fleetOf = (
  neurons: Readonly<Record<string, string>>,
  models: readonly ModelFields[] = [],
  aliases: Readonly<Record<string, string>> = {},
): Fleet =>
  fleetSchema.parse({
    fleet: { name: "test" },
    neurons: Object.entries(neurons).map(([name, endpoint]) => ({ name, endpoint })),
    models,
    aliases,
  });

/** The same with keys of [gateway]. */
export const fleetWith = (
  neurons: Readonly<Record<string, string>>,
  models: readonly ModelFields[],
  gateway: Readonly<Record<string, unknown>>,
): Fleet => ({ ...fleetOf(neurons, models), gateway: gatewayTableSchema.parse(gateway) });

/** On a manual clock time leaps while sockets take theirs, so the deadline of a control call must be out of reach. */
const UNHURRIED = { controlTimeoutMs: 3_600_000 };

/** Short intervals on the real clock: what a test waits for is an event, these only say how soon it can come. */
const QUICK = {
  pollIntervalMs: 20,
  retryPauseMs: 5,
  jobPollMs: 5,
  closeGraceMs: 200,
  firstPollGraceMs: 2000,
};

export interface BenchOptions extends Partial<Omit<GatewayConfig, "fleet">> {
  readonly clock?: Clock;
  /** Receives each log line. */
  readonly onLog?: (line: string) => void;
  readonly neuronAccess?: NeuronAccess;
}

/** A gateway on free ports that is closed after the test. */
export async function gatewayFor(fleet: Fleet, options: BenchOptions = {}): Promise<RunningGateway> {
  const { clock = systemClock, onLog, neuronAccess, ...config } = options;
  const pace = clock === systemClock ? QUICK : UNHURRIED;
  const logger = pino(
    { level: onLog === undefined ? "silent" : "debug" },
    { write: (line) => onLog?.(line) },
  );
  const anyPort = { host: "127.0.0.1", port: 0 };
  const gateway = await startGateway(
    { fleet, listen: anyPort, metricsListen: anyPort, ...pace, ...config },
    { clock, logger, neuronAccess },
  );
  opened.push(() => gateway.close());
  return gateway;
}

export interface AskOptions {
  readonly stream?: boolean;
  readonly signal?: AbortSignal;
  readonly content?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends a body as it is. */
export const post = (gateway: RunningGateway, path: string, body: string): Promise<Response> =>
  fetch(gateway.address + path, { method: "POST", headers: { "content-type": "application/json" }, body });

export const ask = (gateway: RunningGateway, model: string, options: AskOptions = {}): Promise<Response> =>
  fetch(`${gateway.address}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...options.headers },
    body: JSON.stringify({
      model,
      messages: [{ role: "user", content: options.content ?? "hi" }],
      ...(options.stream === true ? { stream: true } : {}),
    }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });

/** What arrived of a body, and whether it ended in good order. */
export async function received(response: Response): Promise<{ text: string; complete: boolean }> {
  const decoder = new TextDecoder();
  let text = "";
  if (response.body === null) return { text, complete: true };
  const reader = response.body.getReader();
  try {
    for (;;) {
      const piece = (await reader.read()) as { readonly done: boolean; readonly value?: Uint8Array };
      if (piece.done) return { text, complete: true };
      text += decoder.decode(piece.value, { stream: true });
    }
  } catch {
    return { text, complete: false };
  }
}

export const metricsOf = async (gateway: RunningGateway): Promise<string> =>
  (await fetch(`${gateway.metricsAddress}/metrics`)).text();

/** How many requests wait for loads, as the exposition says. */
export async function loadWaiters(gateway: RunningGateway): Promise<number> {
  const exposition = await metricsOf(gateway);
  return Number(/cortex_load_waiters\{.*\} (\d+)/.exec(exposition)?.[1] ?? 0);
}

export const jsonOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>;

/** Advances a manual clock until something that happens over real sockets has come true. */
export async function advanceUntil(clock: ManualClock, holds: () => boolean): Promise<void> {
  await expect
    .poll(
      async () => {
        await clock.advance(250);
        return holds();
      },
      { interval: 1 },
    )
    .toBe(true);
}

/** Asks, at any later time, whether the work has settled. */
export function watched(work: Promise<unknown>): () => boolean {
  let settled = false;
  void work.finally(() => {
    settled = true;
  });
  return () => settled;
}
