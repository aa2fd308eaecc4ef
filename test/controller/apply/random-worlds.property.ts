import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { applyPlan } from "../../../src/controller/apply/io/apply-plan.ts";
import { observeFleet } from "../../../src/controller/observe/io/observe-fleet.ts";
import { snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import type { ObservedFleet } from "../../../src/controller/observe/observed-fleet.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import type { PlanChange, PlanDocument } from "../../../src/protocol/plan-document.ts";
import { HurriedClock } from "../../support/hurried-clock.ts";
import { runsOf } from "../../support/long-runs.ts";
import { ScriptedNeuron } from "../../support/neuron/scripted-neuron.ts";
import { quickPlan as plan, rowsOf } from "../observed-fleet-builders.ts";
import type { World } from "../plan-worlds.ts";
import { OTHERS, randomWorld } from "../random-worlds.ts";

/** Nobody listens there. */
const NOWHERE = "http://127.0.0.1:1";

/** The world on neurons that answer over HTTP and count memory for themselves. */
class LiveWorld implements AsyncDisposable {
  readonly fleet: Fleet;
  readonly #neurons: readonly ScriptedNeuron[];
  readonly #clock = new HurriedClock();

  private constructor(fleet: Fleet, neurons: readonly ScriptedNeuron[]) {
    this.fleet = fleet;
    this.#neurons = neurons;
  }

  static async start({ fleet, observed }: World): Promise<LiveWorld> {
    const started = await Promise.all(
      observed.neurons.map(async (neuron) =>
        neuron.reachable ? ([neuron.name, await ScriptedNeuron.start(neuron)] as const) : undefined,
      ),
    );
    const neurons = new Map(started.filter((entry) => entry !== undefined));
    const blocks = fleet.neurons.map((block) => ({
      ...block,
      endpoint: neurons.get(block.name)?.endpoint ?? NOWHERE,
    }));
    return new LiveWorld({ ...fleet, neurons: blocks }, [...neurons.values()]);
  }

  observe(): Promise<ObservedFleet> {
    return observeFleet(this.fleet, { clock: this.#clock });
  }

  /** Consents to all that loses copies; to the end of protected ones only where asked. */
  apply(document: PlanDocument, { allowProtected }: { readonly allowProtected: boolean }) {
    const clock = this.#clock;
    return applyPlan(document, {
      clock,
      onEvent: () => undefined,
      allowProtected,
      allowMassUnload: document.unload_guard.copies_lost,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const neuron of this.#neurons) await neuron[Symbol.asyncDispose]();
  }
}

const takesDown = ({ actions }: PlanChange): boolean => actions.includes("unload");

/** `model@neuron` of loaded copies that only their owner, or an operator's word, may take down. */
function untouchable({ fleet, observed }: World): string[] {
  const blocks = new Map(fleet.models.map((block) => [block.id, block]));
  return observed.neurons.flatMap((neuron) =>
    neuron.reachable
      ? neuron.models
          .filter(({ status }) => status !== "unloading")
          .filter(({ id, origin }) => {
            const isTheirs = origin.kind === "manual" || origin.fleet === OTHERS;
            return isTheirs || blocks.get(id)?.protect === true;
          })
          .map(({ id }) => `${id}@${neuron.name}`)
      : [],
  );
}

const loadedCopies = (observed: ObservedFleet): string[] =>
  observed.neurons.flatMap((neuron) =>
    neuron.reachable ? neuron.models.map(({ id }) => `${id}@${neuron.name}`) : [],
  );

/** Nobody leaves for a copy that does not come: where one makes room, another takes some of it. */
function leavesInVain({ changes }: PlanDocument): string[] {
  return changes
    .filter(({ action_reason: reason }) => reason === "makes_room")
    .filter(
      (departure) =>
        !changes.some(
          (arrival) =>
            arrival.neuron === departure.neuron &&
            arrival.model_id !== departure.model_id &&
            arrival.actions.includes("load") &&
            arrival.devices.some((device) => departure.devices.includes(device)),
        ),
    )
    .map(({ id }) => id);
}

describe("random worlds through plan, verify and apply", () => {
  test(
    "no plan is refused, none goes over memory, nothing untouchable goes, and then there is nothing to do",
    { timeout: 900_000 },
    async () => {
      let changes = 0;
      await fc.assert(
        fc.asyncProperty(randomWorld, async (world) => {
          await using live = await LiveWorld.start(world);
          const { fleet } = live;
          const seen = await live.observe();
          const first = plan(fleet, seen);
          changes += first.changes.length;
          expect(verifyPlan(first, snapshotOfFleet("home", seen)).findings).toEqual([]);
          expect(first.errored).toBe(false);
          expect(leavesInVain(first), rowsOf(first).join("\n")).toEqual([]);

          // Without consent what is protected stays, and all that waits for it.
          const unasked = await live.apply(first, { allowProtected: false });
          expect(unasked.failed).toEqual([]);
          const standing = loadedCopies(await live.observe());
          expect(standing).toEqual(expect.arrayContaining(untouchable({ fleet, observed: seen })));

          const consented = first.changes.some((change) => change.protected && takesDown(change));
          const before = consented ? await live.observe() : seen;
          const next = consented ? plan(fleet, before) : first;
          expect(verifyPlan(next, snapshotOfFleet("home", before)).findings).toEqual([]);
          const asked = consented ? await live.apply(next, { allowProtected: true }) : unasked;
          expect([asked.failed, asked.not_started]).toEqual([[], []]);

          const last = plan(fleet, await live.observe());
          expect(rowsOf(last), rowsOf(next).join("\n")).toEqual([]);
        }),
        { numRuns: runsOf({ ci: 200, fuzz: 2000 }) },
      );
      expect(changes).toBeGreaterThan(300);
    },
  );
});
