import type { SelfTestCheck, SelfTestReport } from "../protocol/demo-events.ts";

/** What is held against what was measured. */
export interface Measured {
  readonly devices: SelfTestReport["devices"];
  readonly cudaUnavailableReason: string | null;
  readonly backend: string;
  readonly memory: SelfTestReport["memory"];
  readonly throughput: SelfTestReport["throughput"];
  readonly cancellationMs: number;
  /** Answers of two models that were loaded at once, by whether there was one. */
  readonly sideBySide: readonly boolean[];
  readonly sharedDevice: boolean;
}

/** Of a card the driver says what is used, others' included; of a processor the neuron says what it has promised. */
const NOISE_MB = { card: 2, processor: 64 };
const CLOSE_PERCENT = 5;
const CLOSE_MB = 64;
const SLOWEST_CANCELLATION_MS = 1000;

export function judge(measured: Measured): SelfTestCheck[] {
  const { backend, memory, throughput, cancellationMs, sideBySide, sharedDevice } = measured;
  const { before_mb: before, after_mb: after, estimated_mb: estimated, measured_mb: held } = memory;
  const noiseMb = backend === "cpu" ? NOISE_MB.processor : NOISE_MB.card;
  const offMb = Math.abs(estimated - held);
  return [
    usedCards(measured),
    {
      name: "the estimate is near the measurement",
      ok: offMb <= Math.max(CLOSE_MB, (held * CLOSE_PERCENT) / 100),
      detail: `${estimated} MiB estimated, ${held} MiB measured`,
    },
    {
      name: "every number of streams is answered",
      ok: throughput.every((one) => one.tokens_per_second > 0),
      detail: throughput
        .map((one) => `${one.streams}: ${one.tokens_per_second.toFixed(1)} tokens/s`)
        .join(", "),
    },
    {
      name: "a client that leaves frees its slot",
      ok: cancellationMs <= SLOWEST_CANCELLATION_MS,
      detail: `after ${cancellationMs.toFixed(0)} ms`,
    },
    {
      name: "two models answer from one device",
      ok: sharedDevice && sideBySide.length === 2 && sideBySide.every(Boolean),
      detail: sharedDevice ? "both were loaded on it at once" : "they lay on different devices",
    },
    {
      name: "unloading returns every byte",
      ok: after - before <= noiseMb,
      detail: `${before} MiB used before, ${after} MiB after, ${backend === "cpu" ? "by the neuron's own account" : "as the driver says"}`,
    },
  ];
}

function usedCards({ devices, backend, cudaUnavailableReason }: Measured): SelfTestCheck {
  const cards = devices.filter(({ kind }) => kind !== "cpu");
  const name = "the cards of this machine are used";
  if (cudaUnavailableReason !== null) return { name, ok: false, detail: cudaUnavailableReason };
  if (cards.length === 0)
    return { name, ok: backend === "cpu", detail: "there are none: the processor computes" };
  return {
    name,
    ok: backend !== "cpu",
    detail: `${backend} on ${cards.map((card) => card.name).join(", ")}`,
  };
}
