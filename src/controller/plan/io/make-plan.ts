import type { NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import { localUrl, parseHostAndPort } from "../../../core/addresses.ts";
import { CortexError } from "../../../core/errors.ts";
import { nearest } from "../../../core/nearest.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import { packageVersion } from "../../../platform/package-paths.ts";
import type { FleetSnapshot } from "../../../protocol/fleet-snapshot.ts";
import type { StepRecord } from "../../../protocol/refs/apply-record.ts";
import type { PlanDocument } from "../../../protocol/plan-document.ts";
import type { FleetGit } from "../../../repository/io/fleet-git.ts";
import type { LoadedFleet } from "../../../repository/io/load-fleet.ts";
import { desiredModels } from "../../intent/desired-models.ts";
import { formerlyProtected } from "../../intent/io/read-former-protection.ts";
import { judgeCopies } from "../../intent/present-copies.ts";
import { observedFromSnapshot, snapshotDigest, snapshotOfFleet } from "../../observe/fleet-snapshots.ts";
import { reachableNeurons, type ObservedFleet } from "../../observe/observed-fleet.ts";
import type { ServedDeclaration } from "../../observe/served-declaration.ts";
import { placementProblem } from "../../place/board/build-problem.ts";
import type { PlacementProblem } from "../../place/board/problem.ts";
import { knownModels } from "../../observe/known-models.ts";
import { planFleet } from "../plan-fleet.ts";
import type { PlanInput, PlanSource } from "../plan-input.ts";
import type { PlanDeps } from "./plan-deps.ts";

/** Whose history, and where it is kept. */
export interface KeptHistory {
  readonly path: string;
  readonly repo: string | undefined;
  readonly fleet: string;
}

/** Which fleet, and how to see it. */
export interface FleetView {
  readonly path: string;
  readonly ref?: string | undefined;
  /** Called when neurons are asked: a plan on a snapshot needs no token. */
  readonly neuronAccess?: (() => Promise<NeuronAccess>) | undefined;
  /** Where the gateway serves its metrics; by default where the fleet files let it, on this machine. */
  readonly metricsUrl?: string | undefined;
  /** Base URL of the gateway; by default where the fleet files let it listen, on this machine. */
  readonly gatewayUrl?: string | undefined;
  /** The key of an admin, where the gateway asks for one. */
  readonly apiKey?: (() => Promise<string | undefined>) | undefined;
  /** Steps of earlier applies, from which the seconds of this plan are foretold; not read for a plan on a snapshot. */
  readonly recorded?: ((kept: KeptHistory) => Promise<readonly StepRecord[]>) | undefined;
  /** A snapshot to plan on instead of asking the fleet. */
  readonly against?: string | undefined;
}

export interface MakePlanOptions extends FleetView {
  /** Models to confine the plan to. */
  readonly targets?: readonly string[] | undefined;
  /** Models to leave out. */
  readonly except?: readonly string[] | undefined;
  /** Revision to compare with. */
  readonly base?: string | undefined;
  /** Ask the solver for a better placement, and for a proof; told how far it is. */
  readonly prove?: ((progress: string) => void) | undefined;
}

/** Desired from the files, observed from the neurons or a snapshot, and the difference between them. */
export async function makePlan(options: MakePlanOptions, deps: PlanDeps): Promise<PlanDocument> {
  const input = await readPlanInput(options, deps);
  if (options.prove === undefined) return planFleet(input);
  return planFleet({ ...input, hint: await deps.solve(problemOf(input), options.prove) });
}

function problemOf({ fleet, observed }: PlanInput): PlacementProblem {
  const desired = desiredModels(fleet, observed);
  const copies = judgeCopies(fleet, observed, desired);
  return placementProblem({ fleet, observed, desired, copies });
}

/** Everything that a plan is made of. */
export async function readPlanInput(options: MakePlanOptions, deps: PlanDeps): Promise<PlanInput> {
  const { path, ref } = options;
  const { loaded, base } = await readSources(options, deps.git);
  const head = planSource(loaded);
  const { observed, digest, served, seenBy } = await observe(head, options, deps);
  const openHistory = () => deps.git.openHistory({ path, ref });
  const formerly = await formerlyProtected(loaded, observed, openHistory);
  const meant = (target: string): string => modelOfTarget(target, head.fleet, observed);
  const excepted = options.except?.map(meant);
  const targets = options.targets?.map(meant);
  return {
    ...head,
    observed,
    base: base === undefined ? undefined : { ...base, observed: await seenBy(base.fleet) },
    cortexVersion: packageVersion(),
    formerlyProtected: formerly,
    served,
    snapshotDigest: digest,
    targets,
    excepted,
  };
}

/** The observation of the fleet as a file may hold it. Throws `no_healthy_neuron` when nobody answers. */
export async function takeSnapshot(
  options: Omit<FleetView, "against">,
  deps: PlanDeps,
): Promise<FleetSnapshot> {
  const { fleet, revision } = await deps.git.load({ path: options.path, ref: options.ref });
  const { observed } = await askFleet({ fleet, revision }, options, deps);
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
  { path, ref, base: baseRef }: MakePlanOptions,
  git: FleetGit,
): Promise<{ readonly loaded: LoadedFleet; readonly base: PlanSource | undefined }> {
  if (baseRef === undefined) return { loaded: await git.load({ path, ref }), base: undefined };
  const { head, base } = await git.loadWithBase({ path, ref, base: baseRef });
  return { loaded: head, base: base === undefined ? undefined : planSource(base) };
}

const planSource = ({ fleet, digest, revision }: LoadedFleet): PlanSource => ({
  fleet,
  fleetDigest: digest,
  revision,
});

interface Observation {
  readonly observed: ObservedFleet;
  readonly digest: string | undefined;
  /** What the gateway serves; undefined when it was not asked. */
  readonly served: ServedDeclaration | undefined;
  /** The same look, with the eyes of another revision: a neuron that only that one declares is asked too. */
  readonly seenBy: (fleet: Fleet) => Promise<ObservedFleet>;
}

type Desired = Pick<PlanSource, "fleet" | "revision">;

async function observe(desired: Desired, options: FleetView, deps: PlanDeps): Promise<Observation> {
  if (options.against === undefined) return askFleet(desired, options, deps);
  const { fleet } = desired;
  const snapshot = await deps.ask.snapshot(options.against);
  checkSnapshot(snapshot, fleet, options.against);
  return {
    observed: observedFromSnapshot(snapshot, fleet),
    digest: snapshotDigest(snapshot),
    served: undefined,
    seenBy: (other) => Promise.resolve(observedFromSnapshot(snapshot, other)),
  };
}

async function askFleet(
  { fleet, revision }: Desired,
  options: Omit<FleetView, "against">,
  { clock, ask }: PlanDeps,
): Promise<Observation> {
  const owner = { name: fleet.fleet.name, repository: revision.repository };
  const deps = { clock, owner, neuronAccess: await options.neuronAccess?.() };
  const metricsUrl =
    options.metricsUrl ?? `${localUrl(parseHostAndPort(fleet.gateway.metrics_listen))}/metrics`;
  const gatewayUrl = options.gatewayUrl ?? localUrl(parseHostAndPort(fleet.gateway.listen));
  const [seen, traffic, served, recorded] = await Promise.all([
    ask.neurons(fleet, deps),
    ask.traffic(metricsUrl, clock),
    ask.served(gatewayUrl, { clock, apiKey: await options.apiKey?.() }),
    options.recorded?.({ path: options.path, repo: fleet.gitops.repo, fleet: fleet.fleet.name }),
  ]);
  const observed = { ...seen, ...(traffic && { traffic }), ...(recorded && { recorded }) };
  const seenBy = async ({ neurons }: Fleet): Promise<ObservedFleet> => {
    const isSeen = ({ name, endpoint }: { readonly name: string; readonly endpoint: string }) =>
      observed.neurons.find((neuron) => neuron.name === name && neuron.endpoint === endpoint);
    const others = await ask.neurons({ neurons: neurons.filter((block) => !isSeen(block)) }, deps);
    const found = neurons.flatMap(
      (block) => isSeen(block) ?? others.neurons.find(({ name }) => name === block.name) ?? [],
    );
    return { ...observed, neurons: found };
  };
  return { observed, digest: undefined, served, seenBy };
}

/** What was seen of one fleet says nothing about another. */
function checkSnapshot(snapshot: FleetSnapshot, { fleet }: Fleet, path: string): void {
  if (snapshot.fleet === fleet.name) return;
  throw new CortexError(
    "snapshot_invalid",
    `${path} is a snapshot of the fleet ${snapshot.fleet}, and the files declare ${fleet.name}`,
  );
}

/** The id of the model that a target names, by its id or by an alias. */
function modelOfTarget(target: string, fleet: Fleet, observed: ObservedFleet): string {
  const known = knownModels(fleet, observed);
  if (known.includes(target)) return target;
  const meant = Object.hasOwn(fleet.aliases, target) ? fleet.aliases[target] : undefined;
  if (meant !== undefined) return meant;
  const guess = nearest(target, [...known, ...Object.keys(fleet.aliases)]);
  throw new CortexError("usage_error", `no model ${target} is declared or loaded`, {
    next: guess === undefined ? "cortex status lists the models" : `did you mean ${guess}?`,
  });
}
