import { compareText } from "../../core/order.ts";
import { present } from "../../core/present.ts";
import type { Fleet, NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { loadedByCortex, type DesiredModel } from "./desired-models.ts";
import { eligibleDevices } from "../observe/device-memory.ts";
import { foreignFleet, ownFleets } from "../observe/foreign-copies.ts";
import { reachableNeurons, type ObservedFleet, type ReachableNeuron } from "../observe/observed-fleet.ts";

/** One loaded model on one neuron. */
export interface PresentCopy {
  readonly neuron: ReachableNeuron;
  readonly resident: ResidentModel;
  /** Undefined when no block declares the model. */
  readonly model: DesiredModel | undefined;
}

/** What of the fleet files a copy does not meet: for people. */
export type LeavingReason =
  /** No block declares its model. */
  | "loaded_not_declared"
  /** More copies are loaded than declared. */
  | "replicas_lowered"
  /** Loaded with other settings than declared. */
  | "spec_changed"
  /** `pinned_on` does not name its neuron. */
  | "pin_changed"
  /** Its devices do not meet min_devices or min_device_vram_mb. */
  | "requirements_changed"
  /** `drain = true`. */
  | "neuron_drained";

/** Why a copy has to go. */
export interface Leaving {
  /** The model is to be served all the same, so another copy takes over; false for a copy too many, or of no block. */
  readonly stillWanted: boolean;
  readonly reason: LeavingReason;
  readonly detail: string;
}

/** Whose copy it is. */
export interface LeftAlone {
  /** It would have to leave or be replaced, but a person loaded it; or another fleet had it loaded. */
  readonly because: "loaded_by_hand" | "other_fleet";
  /** The other fleet. */
  readonly fleet: string | null;
  readonly reason: string;
}

/** What the fleet files say about a loaded model. */
export type Standing =
  /** It counts as one of the declared copies; `current`: in the declared settings. */
  | { readonly kind: "kept"; readonly model: DesiredModel; readonly current: boolean }
  /** `replicas = 0`: nobody declares it resident, and it may stay while memory allows. */
  | { readonly kind: "on_demand"; readonly model: DesiredModel }
  /** cortex loaded it, and it is not to stay. */
  | ({ readonly kind: "leaves" } & Leaving)
  /** It is not this fleet's to take down: no declared copy, and in the way. */
  | ({ readonly kind: "left_alone" } & LeftAlone)
  /** On its way out already: neither a copy nor in the way. */
  | { readonly kind: "ending" };

export interface JudgedCopy extends PresentCopy {
  readonly standing: Standing;
}

/**
 * Judges every loaded model. Present copies keep their place (a plan never moves what may stay); of more copies than
 * declared, those stay that a person loaded (they would stay anyway), that have the declared settings, are ready, and
 * were used last.
 */
export function judgeCopies(
  fleet: Fleet,
  observed: ObservedFleet,
  desired: ReadonlyMap<string, DesiredModel>,
): JudgedCopy[] {
  const blocks = new Map(fleet.neurons.map((block) => [block.name, block]));
  const own = ownFleets(fleet);
  const judged = reachableNeurons(observed).flatMap((neuron) =>
    neuron.models.map((resident) => {
      const copy = { neuron, resident, model: desired.get(resident.id) };
      return { ...copy, standing: foreignStanding(copy, own) ?? standingOf(copy, blocks.get(neuron.name)) };
    }),
  );
  const byModel = Map.groupBy(judged, (copy) => copy.resident.id);
  const surplus = new Set(
    fleet.models.flatMap((block) => surplusOf(block.replicas, byModel.get(block.id) ?? [])),
  );
  return judged.map((copy) => {
    if (!surplus.has(copy)) return copy;
    const { replicas } = present(copy.model, "the block of", copy.resident.id).block;
    const others = replicas === 1 ? "another copy stays" : `${replicas} other copies stay`;
    const detail = `replicas = ${replicas}, and ${others}`;
    return { ...copy, standing: leave(copy, { stillWanted: false, reason: "replicas_lowered", detail }) };
  });
}

function surplusOf(replicas: number, copies: readonly JudgedCopy[]): JudgedCopy[] {
  return copies
    .filter((copy) => copy.standing.kind === "kept")
    .sort(byWorthKeeping)
    .slice(replicas);
}

function byWorthKeeping(left: JudgedCopy, right: JudgedCopy): number {
  return (
    Number(loadedByCortex(left.resident)) - Number(loadedByCortex(right.resident)) ||
    Number(isCurrent(right)) - Number(isCurrent(left)) ||
    Number(right.resident.status === "loaded") - Number(left.resident.status === "loaded") ||
    (right.resident.last_used_ms ?? 0) - (left.resident.last_used_ms ?? 0) ||
    compareText(left.neuron.name, right.neuron.name)
  );
}

const isCurrent = (copy: JudgedCopy): boolean => copy.standing.kind === "kept" && copy.standing.current;

function foreignStanding({ resident }: PresentCopy, own: readonly string[]): Standing | undefined {
  const { origin, status } = resident;
  const fleet = foreignFleet(origin, own);
  if (fleet === undefined || status === "unloading") return undefined;
  const [name = ""] = own;
  const whose = fleet.startsWith(`${name}#`)
    ? `belongs to a fleet that is called ${name} too and comes from another repository, or from one that cannot be told from it here`
    : `belongs to the fleet ${fleet}`;
  const reason = `${whose}${fromText(origin)}; takes_over = ["${fleet}"] under [fleet] makes its copies this fleet's`;
  return { kind: "left_alone", because: "other_fleet", fleet, reason };
}

/** ", loaded from 1234567, uncommitted". */
function fromText({ kind, ref, uncommitted }: ResidentModel["origin"]): string {
  if (kind !== "revision" || ref === undefined) return ", loaded for a request";
  return `, loaded from ${ref.slice(0, 7)}${uncommitted === true ? ", uncommitted" : ""}`;
}

function standingOf(copy: PresentCopy, neuron: NeuronBlock | undefined): Standing {
  const { resident, model } = copy;
  if (resident.status === "unloading") return { kind: "ending" };
  if (model === undefined) {
    const detail = "no [[models]] block declares it";
    return leave(copy, { stillWanted: false, reason: "loaded_not_declared", detail });
  }
  if (neuron?.drain === true) {
    const detail = `${copy.neuron.name} has drain = true`;
    return leave(copy, { stillWanted: true, reason: "neuron_drained", detail });
  }
  const current = resident.spec_hash === model.specHash;
  if (model.block.replicas === 0) {
    if (current) return { kind: "on_demand", model };
    const detail = "its settings changed; the next request loads it with the new ones";
    return leave(copy, { stillWanted: true, reason: "spec_changed", detail });
  }
  const misplaced = misplacement(copy, model);
  if (misplaced !== undefined) return misplaced;
  if (!current && !loadedByCortex(resident)) {
    return leave(copy, {
      stillWanted: true,
      reason: "spec_changed",
      detail: "its settings are not as declared",
    });
  }
  return { kind: "kept", model, current };
}

function misplacement(copy: PresentCopy, model: DesiredModel): Standing | undefined {
  const { pinned_on: pins } = model.block;
  if (pins.length > 0 && !pins.includes(copy.neuron.name)) {
    const detail = `pinned_on = [${pins.map((pin) => `"${pin}"`).join(", ")}]`;
    return leave(copy, { stillWanted: true, reason: "pin_changed", detail });
  }
  const eligible = eligibleDevices(copy.neuron, model.floor);
  const stands = copy.resident.devices.every((index) => eligible.some((device) => device.index === index));
  const { minDevices, minDeviceMib } = model.floor;
  if (stands && eligible.length >= minDevices) return undefined;
  const wanted = `${minDevices} device(s) of ${minDeviceMib} MB or more`;
  const detail = `the block asks for ${wanted}`;
  return leave(copy, { stillWanted: true, reason: "requirements_changed", detail });
}

/** What a person loaded by hand is left to that person, whatever the files say. */
function leave(copy: PresentCopy, leaving: Leaving): Standing {
  if (loadedByCortex(copy.resident)) return { kind: "leaves", ...leaving };
  const handover = leaving.stillWanted
    ? "; unload it there by hand (POST /models/unload), and cortex loads it as declared"
    : "";
  const reason = `loaded by hand (${leaving.detail})${handover}`;
  return { kind: "left_alone", because: "loaded_by_hand", fleet: null, reason };
}
