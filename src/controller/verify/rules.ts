import { createHash } from "node:crypto";
import type { ModelSpec } from "../../protocol/neuron-api.ts";
import type { DeclaredModel, PlanChange, PlanDocument, PlanNeuron } from "../../protocol/plan-document.ts";
import { bringsCopyUp, Findings, takesCopyDown } from "./findings.ts";
import type { PlanIndex } from "./plan-index.ts";

/*
 * A rule about the document: a row with the reason `parking_ended` takes down the copy that a row of the same plan with
 * the reason `parked` loads on the same neuron. Nothing else in a saved plan says so, which is why the reason is read
 * here; the planner itself decides by the role of a change and never by its reason.
 */

/** What the fleet files allow: pins, drains, device requirements, settings, protection. */
export function verifyRules(index: PlanIndex): Findings {
  const { plan } = index;
  const found = new Findings();
  for (const change of plan.changes) {
    const model = index.declared(change.model_id);
    const neuron = index.neuron(change.neuron);
    if (bringsCopyUp(change)) verifyLoad(found, change, { model, neuron });
    // A copy that this very plan parked is nobody's loss. What is declared no more may be protected by its last block.
    const isTaken = takesCopyDown(change) && change.action_reason !== "parking_ended";
    const isProtected = isTaken && model?.protect === true;
    if (isProtected) {
      const message = "takes down a model with protect = true and does not say so";
      found.expect(change.protected, "protect", { where: change.id, message });
    } else if (!isTaken || model !== undefined) {
      const message = "is called protected, and its block says nothing of the kind";
      found.expect(!change.protected, "protect", { where: change.id, message });
    }
    verifyParkingEnd(found, plan, change);
  }
  return found;
}

function verifyLoad(
  found: Findings,
  change: PlanChange,
  { model, neuron }: { readonly model: DeclaredModel | undefined; readonly neuron: PlanNeuron | undefined },
): void {
  const where = change.id;
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "placement_rules", { where, message });
  };
  expect(model !== undefined && model.replicas > 0, "loads a model that is not declared resident");
  if (model === undefined || neuron === undefined) return;
  const { pinned_on: pins } = model;
  expect(pins.length === 0 || pins.includes(change.neuron), `is not on pinned_on = [${pins.join(", ")}]`);
  expect(!neuron.drain, `is on ${neuron.name}, which has drain = true`);
  expect(neuron.status === "ok", `is on ${neuron.name}, which takes no new work`);
  const harness = change.spec?.harness ?? "";
  expect(neuron.harnesses.includes(harness), `needs harness ${harness}, which ${neuron.name} does not offer`);
  expect(change.devices.length === model.min_devices, `is not on min_devices = ${model.min_devices}`);
  for (const device of neuron.devices.filter(({ index }) => change.devices.includes(index))) {
    expect(
      device.vram_total_mb >= model.min_device_vram_mb,
      `is on device ${device.index} of ${device.vram_total_mb} MB, below min_device_vram_mb = ${model.min_device_vram_mb}`,
    );
  }
  if (change.spec === null) return;
  found.expect(settingsHash(change.spec) === model.spec_hash, "settings", {
    where,
    message: "loads with other settings than declared",
  });
}

/** Only a copy that the plan itself parked may be called one. */
function verifyParkingEnd(found: Findings, plan: PlanDocument, change: PlanChange): void {
  if (change.action_reason !== "parking_ended") return;
  const parked = plan.changes.some(
    (other) =>
      other.action_reason === "parked" &&
      other.model_id === change.model_id &&
      other.neuron === change.neuron,
  );
  found.expect(parked, "protect", {
    where: change.id,
    message: "ends a parking that this plan did not begin",
  });
}

/** Identity of a model in its settings: devices and the declared footprint are no part of it. */
export function settingsHash(spec: ModelSpec): string {
  const facts = [spec.model_id, spec.harness, spec.source ?? null, spec.sha256 ?? null, spec.context ?? null];
  const { endpoint, command, served_as, token_file, health_path } = spec;
  const engine = spec.harness === "openai" ? [{ endpoint, command, served_as, token_file, health_path }] : [];
  const { threads, kv_cache_type, flash_attention, swa_full, batch_size, lora, draft, prompt_lookup } = spec;
  const settings = { threads, kv_cache_type, flash_attention, swa_full };
  const companions = { batch_size, lora, draft, prompt_lookup };
  const declared = [settings, companions].filter((group) =>
    Object.values(group).some((value) => value !== undefined),
  );
  const text = JSON.stringify([...facts, spec.parallel, spec.min_devices, ...declared, ...engine]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
