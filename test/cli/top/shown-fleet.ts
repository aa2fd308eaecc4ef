import { reduceTop } from "../../../src/cli/top/reduce-top.ts";
import {
  initialTop,
  type PressedKey,
  type TopEffect,
  type TopEvent,
  type TopState,
} from "../../../src/cli/top/top-state.ts";
import type { FleetState } from "../../../src/protocol/gateway-api.ts";
import type { RequestSummary } from "../../../src/protocol/request-explanation.ts";
import { copy, fleetState, NOW_MS, type StatedFleet } from "../overview/fleet-states.ts";

const GIB = 1024;

/** Three machines of different sizes, one of them silent, and models in most of the states that there are. */
export const homeFleet = (rest: Partial<StatedFleet> = {}): FleetState =>
  fleetState({
    declared: {
      "Qwen/Qwen3-Coder-30B-A3B": 1,
      "meta/llama-3.3-70b": 1,
      "mistralai/Mistral-Small-3.2-24B": 2,
      "google/gemma-3-4b": 0,
      "openai/whisper-large": 0,
    },
    neurons: [
      {
        name: "beast",
        devices: [
          { totalMb: 32 * GIB, usedMb: 27 * GIB },
          { totalMb: 32 * GIB, usedMb: 22 * GIB },
        ],
        models: [
          copy({
            id: "meta/llama-3.3-70b",
            devices: [0, 1],
            vram_used_mb: 44 * GIB,
            device_vram_mb: [22 * GIB, 22 * GIB],
            tokens_per_sec: 31.4,
          }),
          copy({
            id: "google/gemma-3-4b",
            vram_used_mb: 4 * GIB,
            device_vram_mb: [4 * GIB],
            origin: { kind: "request", fleet: "home" },
            last_used_ms: NOW_MS - 90_000,
          }),
        ],
      },
      {
        name: "benjy",
        draining: true,
        models: [
          copy({
            id: "Qwen/Qwen3-Coder-30B-A3B",
            vram_used_mb: 18 * GIB,
            servable: { ok: false, reason: "draining", detail: "the neuron takes no new requests" },
          }),
        ],
        devices: [{ totalMb: 24 * GIB, usedMb: 18 * GIB }],
      },
      { name: "quadbrat", health: "unhealthy", devices: [{ totalMb: 12 * GIB, usedMb: null }] },
    ],
    health: {
      status: "impaired",
      nodes: { healthy: 2, total: 3 },
      models: { declared: 5, loaded: 3 },
      requests_in_flight: 3,
      loads_in_progress: 1,
      unservable: [],
    },
    loads: [
      {
        model: "mistralai/Mistral-Small-3.2-24B",
        node: "beast",
        state: "loading",
        progress: 0.42,
        waiting: 2,
        elapsed_ms: 4000,
        evict: ["google/gemma-3-4b"],
      },
    ],
    queues: [{ model: "mistralai/Mistral-Small-3.2-24B", waiting: 2, longest_wait_ms: 4000 }],
    failed_loads: [
      {
        model: "openai/whisper-large",
        node: "benjy",
        code: "source_not_found",
        message: "no such file",
        times: 2,
        retry_at_ms: NOW_MS,
      },
    ],
    traffic: {
      requests_in_flight: 3,
      requests_per_sec: 4.2,
      tokens_per_sec: 187.5,
      first_token_ms: { p50: 85, p95: 1240 },
      errors_per_min: 1,
    },
    ...rest,
  });

const request = (at: number, rest: Partial<RequestSummary>): RequestSummary => ({
  request_id: `req-${at}`,
  started_at_ms: NOW_MS - at * 1000,
  duration_ms: 850,
  route: "/v1/chat/completions",
  model: "meta/llama-3.3-70b",
  node: "beast",
  key: "team-a",
  stream: true,
  status: 200,
  code: null,
  retries: 0,
  cold_start: false,
  first_token_ms: 85,
  ...rest,
});

export const REQUESTS: readonly RequestSummary[] = [
  request(1, { status: null, duration_ms: null }),
  request(4, { model: "google/gemma-3-4b", duration_ms: 12_400 }),
  request(9, { status: 503, code: "queue_full", node: null, first_token_ms: null, duration_ms: 3 }),
  request(70, { status: 404, code: "model_not_found", model: null, node: null, first_token_ms: null }),
];

/** Runs events through the reducer: where it is then, and all that is to be done. */
export function played(
  events: readonly TopEvent[],
  from: TopState = initialTop(NOW_MS),
): { readonly state: TopState; readonly effects: readonly TopEffect[] } {
  return events.reduce<{ state: TopState; effects: readonly TopEffect[] }>(
    (before, event) => {
      const { state, effects } = reduceTop(before.state, event);
      return { state, effects: [...before.effects, ...effects] };
    },
    { state: from, effects: [] },
  );
}

const told = (state: FleetState): TopEvent => ({
  kind: "fleet-told",
  event: { kind: "snapshot-taken", state },
});

export const fleetTold = told;

const ticks = (count: number): TopEvent[] =>
  Array.from({ length: count }, () => ({ kind: "clock-ticked", nowMs: NOW_MS }));

/** What a session has heard after a few seconds. */
export const HEARD: readonly TopEvent[] = [
  told(homeFleet({ traffic: { requests_in_flight: 0, requests_per_sec: 0.5, tokens_per_sec: 12 } })),
  ...ticks(3),
  told(homeFleet({ traffic: { requests_in_flight: 2, requests_per_sec: 2.5, tokens_per_sec: 90 } })),
  ...ticks(2),
  told(homeFleet()),
  ...ticks(2),
  { kind: "requests-read", requests: REQUESTS },
  {
    kind: "sync-read",
    sync: {
      liveRevision: "a1b2c3d4e5f6",
      attempted: null,
      head: { revision: "b2c3d4e5f6a7", isDirty: false },
      loop: null,
    },
  },
];

/** Keys by their names (`<enter>`, `<ctrl-c>`) and by their characters. */
export const keys = (text: string): TopEvent[] =>
  [...text.matchAll(/<([a-z-]+)>|(.)/g)].map(([, name, character = ""]) => ({
    kind: "key-pressed",
    key: keyOf(name, character),
  }));

function keyOf(name: string | undefined, character: string): PressedKey {
  if (name === undefined) return { name: character, text: character, isCtrl: false };
  if (name === "ctrl-c") return { name: "c", text: "", isCtrl: true };
  return { name: name === "enter" ? "return" : name === "esc" ? "escape" : name, text: "", isCtrl: false };
}
