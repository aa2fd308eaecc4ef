import type { Clock } from "../../../core/clock.ts";
import { CortexError, errorKind } from "../../../core/errors.ts";
import type { ModelProbe } from "../../../fleet/schema/probe-table.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { judgeProbe, probeQuestion } from "../judge-probe.ts";

export interface ProbedCopy {
  readonly client: NeuronClient;
  readonly clock: Clock;
  readonly neuron: string;
  readonly modelId: string;
  /** As its neuron tells them. */
  readonly capabilities: readonly string[];
  readonly probe: ModelProbe;
}

const AGAIN_MS = 500;

/** Asks a fresh copy what its block declares. Throws `probe_failed` when it does not answer so, or not in time. */
export async function askProbe(copy: ProbedCopy): Promise<void> {
  const { clock, modelId, neuron, probe, capabilities } = copy;
  const question = probeQuestion(modelId, probe, capabilities);
  const deadlineMs = clock.monotonicMs() + probe.within_secs * 1000;
  const answer = await untilTaken(copy, question, deadlineMs);
  const wrong = judgeProbe(question, answer, probe);
  if (wrong !== undefined) throw new CortexError("probe_failed", `${modelId} on ${neuron}: ${wrong}`);
}

/** A copy that others use at once may be busy for a moment. */
// oxlint-disable-next-line max-params -- who, what, and until when
async function untilTaken(
  { client, clock, modelId, neuron, probe }: ProbedCopy,
  question: ReturnType<typeof probeQuestion>,
  deadlineMs: number,
): Promise<unknown> {
  for (;;) {
    const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs());
    try {
      return await client.ask({ ...question, timeoutMs });
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      const leftMs = deadlineMs - clock.monotonicMs();
      if (errorKind(thrown.code).retryable && leftMs > AGAIN_MS) {
        await clock.sleep(AGAIN_MS);
        continue;
      }
      const why = leftMs > 0 ? thrown.message : `no answer within ${probe.within_secs} s`;
      throw new CortexError("probe_failed", `${modelId} on ${neuron}: ${why}`, { cause: thrown });
    }
  }
}
