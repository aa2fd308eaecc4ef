import { localUrl, parseHostAndPort } from "../../../core/addresses.ts";
import { CortexError } from "../../../core/errors.ts";
import { nearest } from "../../../core/nearest.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { Environment } from "../../../platform/environment.ts";
import { packageVersion } from "../../../platform/package-paths.ts";
import { systemClock } from "../../../platform/system-clock.ts";
import { readTokenFile } from "../../../platform/token-file.ts";
import type { FleetSnapshot } from "../../../protocol/fleet-snapshot.ts";
import type { PlanDocument } from "../../../protocol/plan-document.ts";
import { observedFromSnapshot, snapshotDigest, snapshotOfFleet } from "../../observe/fleet-snapshots.ts";
import { reachableNeurons, type ObservedFleet } from "../../observe/observed-fleet.ts";
import { planFleet } from "../plan-fleet.ts";
import type { PlanInput, PlanSource } from "../plan-input.ts";
import { formerlyProtected } from "../../intent/io/read-former-protection.ts";
import { desiredModels } from "../../intent/desired-models.ts";
import { placementProblem } from "../../place/board/build-problem.ts";
import type { PlacementHint } from "../../place/board/placement.ts";
import { judgeCopies } from "../../intent/present-copies.ts";
import { startHighsSolver } from "../../place/io/highs-solver.ts";
import { provePlacement } from "../../place/io/prove-placement.ts";
import {
  loadFleet,
  loadFleetAndBase,
  type LoadedFleet,
  type LoadFleetOptions,
} from "../../../repository/io/load-fleet.ts";
import { observeFleet } from "../../observe/io/observe-fleet.ts";
import { readTraffic } from "../../observe/io/read-traffic.ts";
import { readSnapshot } from "../../observe/io/snapshot-file.ts";

/** Which fleet, and how to see it. */
export interface FleetView {
  readonly path: string;
  readonly ref?: string | undefined;
  readonly environment: Environment;
  readonly neuronTokenFile?: string | undefined;
  /** Where the gateway serves its metrics; by default where the fleet files let it, on this machine. */
  readonly metricsUrl?: string | undefined;
  /** A snapshot to plan on instead of asking the fleet. */
  readonly against?: string | undefined;
}

export interface MakePlanOptions extends FleetView {
  /** Models to confine the plan to. */
  readonly targets?: readonly string[] | undefined;
  /** Revision to compare with. */
  readonly base?: string | undefined;
  /** Ask the solver for a better placement, and for a proof; told how far it is. */
  readonly prove?: ((progress: string) => void) | undefined;
}

/** Desired from the files, observed from the neurons or a snapshot, and the difference between them. */
export async function makePlan(options: MakePlanOptions): Promise<PlanDocument> {
  const input = await readPlanInput(options);
  if (options.prove === undefined) return planFleet(input);
  return planFleet({ ...input, hint: await askSolver(input, options.prove) });
}

async function askSolver(
  { fleet, observed }: PlanInput,
  onProgress: (progress: string) => void,
): Promise<PlacementHint> {
  const desired = desiredModels(fleet, observed);
  const copies = judgeCopies(fleet, observed, desired);
  const solver = await startHighsSolver();
  try {
    const problem = placementProblem({ fleet, observed, desired, copies });
    return await provePlacement(problem, { solve: solver.solve, onProgress });
  } finally {
    await solver.close();
  }
}

/** Everything that a plan is made of. */
export async function readPlanInput(options: MakePlanOptions): Promise<PlanInput> {
  const { loaded, base } = await readSources(options);
  const head = planSource(loaded);
  const { observed, digest, seenBy } = await observe(head.fleet, options);
  const formerly = await formerlyProtected(loaded, observed, loadOptions(options));
  for (const target of options.targets ?? []) checkTarget(target, head.fleet, observed);
  const cortexVersion = packageVersion();
  return {
    ...head,
    observed,
    base: base === undefined ? undefined : { ...base, observed: await seenBy(base.fleet) },
    cortexVersion,
    formerlyProtected: formerly,
    snapshotDigest: digest,
    targets: options.targets,
  };
}

/** The observation of the fleet as a file may hold it. Throws `no_healthy_neuron` when nobody answers. */
export async function takeSnapshot(options: Omit<FleetView, "against">): Promise<FleetSnapshot> {
  const { fleet } = await readSource(options);
  const { observed } = await observe(fleet, options);
  if (observed.neurons.length > 0 && reachableNeurons(observed).length === 0) {
    const problems = observed.neurons.map((neuron) =>
      neuron.reachable ? "" : `${neuron.name}: ${neuron.problem}`,
    );
    throw new CortexError("no_healthy_neuron", "no neuron answers, so there is nothing to record", {
      details: { problems },
    });
  }
  return snapshotOfFleet(fleet.fleet.name, observed);
}

/** The fleet, and what it was where its branch left the base. */
async function readSources(
  options: MakePlanOptions,
): Promise<{ readonly loaded: LoadedFleet; readonly base: PlanSource | undefined }> {
  if (options.base === undefined) return { loaded: await loadFleet(loadOptions(options)), base: undefined };
  const { head, base } = await loadFleetAndBase({ ...loadOptions(options), base: options.base });
  return { loaded: head, base: base === undefined ? undefined : planSource(base) };
}

const readSource = async (options: FleetView): Promise<PlanSource> =>
  planSource(await loadFleet(loadOptions(options)));

const loadOptions = ({ path, ref, environment }: FleetView): LoadFleetOptions => ({
  path,
  ref,
  environmentOverrides: environment.cortexVariables,
  inherited: environment.inherited,
});

const planSource = ({ fleet, digest, revision }: LoadedFleet): PlanSource => ({
  fleet,
  fleetDigest: digest,
  revision,
});

interface Observation {
  readonly observed: ObservedFleet;
  readonly digest: string | undefined;
  /** The same look, with the eyes of another revision: a neuron that only that one declares is asked too. */
  readonly seenBy: (fleet: Fleet) => Promise<ObservedFleet>;
}

async function observe(fleet: Fleet, options: FleetView): Promise<Observation> {
  if (options.against !== undefined) {
    const snapshot = await readSnapshot(options.against);
    checkSnapshot(snapshot, fleet, options.against);
    return {
      observed: observedFromSnapshot(snapshot, fleet),
      digest: snapshotDigest(snapshot),
      seenBy: (other) => Promise.resolve(observedFromSnapshot(snapshot, other)),
    };
  }
  const { neuronTokenFile } = options;
  const neuronToken = neuronTokenFile === undefined ? undefined : await readTokenFile(neuronTokenFile);
  const metricsUrl =
    options.metricsUrl ?? `${localUrl(parseHostAndPort(fleet.gateway.metrics_listen))}/metrics`;
  const deps = { clock: systemClock, neuronToken };
  const [seen, traffic] = await Promise.all([
    observeFleet(fleet, deps),
    readTraffic(metricsUrl, systemClock),
  ]);
  const observed = traffic === undefined ? seen : { ...seen, traffic };
  const seenBy = async ({ neurons }: Fleet): Promise<ObservedFleet> => {
    const isSeen = ({ name, endpoint }: { readonly name: string; readonly endpoint: string }) =>
      observed.neurons.find((neuron) => neuron.name === name && neuron.endpoint === endpoint);
    const others = await observeFleet({ neurons: neurons.filter((block) => !isSeen(block)) }, deps);
    const found = neurons.flatMap(
      (block) => isSeen(block) ?? others.neurons.find(({ name }) => name === block.name) ?? [],
    );
    return { ...observed, neurons: found };
  };
  return { observed, digest: undefined, seenBy };
}

/** What was seen of one fleet says nothing about another. */
function checkSnapshot(snapshot: FleetSnapshot, { fleet }: Fleet, path: string): void {
  if (snapshot.fleet === fleet.name) return;
  throw new CortexError(
    "snapshot_invalid",
    `${path} is a snapshot of the fleet ${snapshot.fleet}, and the files declare ${fleet.name}`,
  );
}

function checkTarget(target: string, fleet: Fleet, observed: ObservedFleet): void {
  const loaded = reachableNeurons(observed).flatMap(({ models }) => models.map(({ id }) => id));
  const known = [...new Set([...fleet.models.map(({ id }) => id), ...loaded])];
  if (known.includes(target)) return;
  const guess = nearest(target, known);
  throw new CortexError("usage_error", `no model ${target} is declared or loaded`, {
    next: guess === undefined ? "cortex status lists the models" : `did you mean ${guess}?`,
  });
}
