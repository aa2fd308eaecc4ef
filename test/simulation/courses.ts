import { deepStrictEqual, ok } from "node:assert/strict";
import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import type { ApplyResult } from "../../src/protocol/apply-events.ts";
import type { PlanDocument } from "../../src/protocol/plan-document.ts";
import { rowsOf } from "../controller/observed-fleet-builders.ts";
import type { World } from "../controller/plan-worlds.ts";
import { Fuse } from "./simulated-machine.ts";
import { actionsOf, Simulation } from "./simulation.ts";

export interface CourseFigures {
  readonly changes: number;
  readonly requests: number;
  readonly kills: number;
}

/** A fleet is brought up, then its files say something else; throws for whatever is not as it should be. */
export async function changeFleet(world: World, other: World, seed: number): Promise<CourseFigures> {
  const simulation = new Simulation(world, seed);
  let changes = 0;
  for (const fleet of [world.fleet, withModels(world.fleet, other.fleet.models)]) {
    const plan = simulation.plan(fleet);
    const before = simulation.taken.length;
    const result = await simulation.apply(plan);
    allApplied(plan, result);
    deepStrictEqual(simulation.taken.slice(before).toSorted(), actionsOf(plan).toSorted());
    asDeclared(simulation, fleet, plan);
    changes += plan.changes.length;
  }
  return { changes, requests: simulation.requests, kills: 0 };
}

/** The applier is killed at each change in turn, and another one comes; throws as above. */
export async function killAtEachChange(world: World, seed: number): Promise<CourseFigures> {
  const { fleet } = world;
  const { length } = actionsOf(new Simulation(world, seed).plan(fleet));
  let changes = 0;
  let requests = 0;
  for (let at = 1; at <= length; at += 1) {
    const simulation = new Simulation(world, seed + at);
    const fuse = new Fuse(at, (seed + at) % 2 === 0);
    await simulation.apply(simulation.plan(fleet), fuse);
    ok(fuse.blown);
    // Half of the time the next applier comes while the machines are still at it.
    if (seed % 4 < 2) simulation.runOut();
    const next = simulation.plan(fleet);
    allApplied(next, await simulation.apply(next));
    asDeclared(simulation, fleet, next);
    changes += next.changes.length;
    requests += simulation.requests;
  }
  return { changes, requests, kills: length };
}

/** The machines stay, and the files say something else of the models. */
function withModels(fleet: Fleet, models: Fleet["models"]): Fleet {
  const names = new Set(fleet.neurons.map(({ name }) => name));
  return { ...fleet, models: models.filter(({ pinned_on }) => pinned_on.every((name) => names.has(name))) };
}

function allApplied(plan: PlanDocument, { applied, failed, not_started }: ApplyResult): void {
  deepStrictEqual({ failed, not_started }, { failed: [], not_started: [] }, rowsOf(plan).join("\n"));
  deepStrictEqual(applied.map(({ step }) => step).toSorted(), plan.changes.map(({ id }) => id).toSorted());
}

/** Nothing is left to do, and nothing happened on the way that must not. */
function asDeclared(simulation: Simulation, fleet: Fleet, last: PlanDocument): void {
  simulation.runOut();
  deepStrictEqual(
    simulation.complaints,
    [],
    `${simulation.complaints.join("\n")}\nin\n${rowsOf(last).join("\n")}`,
  );
  deepStrictEqual(rowsOf(simulation.plan(fleet)), [], `left to do after\n${rowsOf(last).join("\n")}`);
}
