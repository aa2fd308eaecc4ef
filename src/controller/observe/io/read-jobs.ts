import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { nearest } from "../../../core/nearest.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import { createNeuronClient, type NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import { neuronProblem } from "../../../protocol/neuron-failure.ts";
import type { JobsReport } from "../../../protocol/status-report.ts";

const TIMEOUT_MS = 5000;

export interface ReadJobsDeps {
  readonly clock: Clock;
  readonly neuronAccess?: NeuronAccess | undefined;
}

/**
 * Asks every declared neuron, or the one that is named, all at once; who does not answer is part of the report. Throws
 * `usage_error` for a name that is not declared.
 */
export async function readJobs(
  { fleet, neurons }: Pick<Fleet, "fleet" | "neurons">,
  deps: ReadJobsDeps & { readonly on?: string | undefined },
): Promise<JobsReport> {
  const { on } = deps;
  const asked = on === undefined ? neurons : neurons.filter(({ name }) => name === on);
  if (on !== undefined && asked.length === 0) throw unknownNeuron(on, neurons);
  const answers = await Promise.all(asked.map((neuron) => jobsOf(neuron, deps)));
  return {
    fleet: fleet.name,
    now_ms: deps.clock.nowMs(),
    jobs: answers
      .flatMap(({ jobs }) => jobs)
      .toSorted((one, other) => other.created_at_ms - one.created_at_ms),
    silent: answers.flatMap(({ silent }) => silent),
  };
}

function unknownNeuron(on: string, neurons: Fleet["neurons"]): CortexError {
  const names = neurons.map(({ name }) => name);
  const meant = nearest(on, names);
  return new CortexError("usage_error", `no neuron ${on} is declared`, {
    next: meant === undefined ? `declared: ${names.join(", ") || "none"}` : `did you mean ${meant}?`,
  });
}

async function jobsOf(
  { name, endpoint }: { readonly name: string; readonly endpoint: string },
  { clock, neuronAccess }: ReadJobsDeps,
): Promise<Pick<JobsReport, "jobs" | "silent">> {
  const client = createNeuronClient(
    { name, endpoint },
    { clock, access: neuronAccess, callTimeoutMs: TIMEOUT_MS },
  );
  try {
    const jobs = await client.jobs();
    return { jobs: jobs.map((job) => ({ ...job, neuron: name })), silent: [] };
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    return { jobs: [], silent: [{ neuron: name, problem: neuronProblem(thrown) ?? thrown.message }] };
  } finally {
    await client.destroy();
  }
}
