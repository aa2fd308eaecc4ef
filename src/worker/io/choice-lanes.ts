import type { AdmittedGeneration, GenerationJob, SlotOccupancy } from "../engine/inference-engine.ts";

/** As much of an engine as admits jobs. */
export interface Admitting {
  readonly occupancy: SlotOccupancy;
  admit(job: GenerationJob): AdmittedGeneration;
}

export interface Choices {
  /** At least one. */
  readonly jobs: readonly GenerationJob[];
  /** The first job, admitted: a request waits in the queue with one job, however many it has. */
  readonly first: AdmittedGeneration;
  readonly engine: Admitting;
}

/**
 * Runs the jobs of one request: one after the other, and side by side where slots are free that nobody waits for.
 * So a request with many choices takes no more places in the queue than any other. Rejects with the first failure,
 * once nothing runs any more.
 */
export async function runChoices<Ending>(
  { jobs, first, engine }: Choices,
  run: (index: number, admitted: AdmittedGeneration) => Promise<Ending>,
): Promise<readonly Ending[]> {
  const endings: Ending[] = [];
  const failures: unknown[] = [];
  const lanes = new Set<Promise<void>>();
  let next = 1;

  const idleSlot = (): boolean => {
    const { slots, busy, queued } = engine.occupancy;
    return busy < slots && queued === 0;
  };
  const admitNext = (): { readonly index: number; readonly admitted: AdmittedGeneration } | undefined => {
    const job = jobs[next];
    if (job === undefined || failures.length > 0) return undefined;
    const admitted = engine.admit(job);
    next += 1;
    return { index: next - 1, admitted };
  };
  const runOn = async (start: NonNullable<ReturnType<typeof admitNext>>): Promise<void> => {
    for (let current: typeof start | undefined = start; current !== undefined;) {
      endings[current.index] = await run(current.index, current.admitted);
      fillIdleSlots();
      // The last lane of a request has its place in the queue for sure; another gives way.
      current = lanes.size === 1 || idleSlot() ? admitNext() : undefined;
    }
  };
  const startLane = (start: NonNullable<ReturnType<typeof admitNext>>): void => {
    const lane = runOn(start)
      .catch((thrown: unknown) => {
        failures.push(thrown);
      })
      .finally(() => lanes.delete(lane));
    lanes.add(lane);
  };
  const fillIdleSlots = (): void => {
    while (idleSlot()) {
      const start = admitNext();
      if (start === undefined) return;
      startLane(start);
    }
  };

  startLane({ index: 0, admitted: first });
  fillIdleSlots();
  while (lanes.size > 0) await Promise.all(lanes);
  if (failures.length > 0) throw failures[0];
  return endings;
}
