import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import type { DeclaredChange, PlanDeclaration } from "../../protocol/declaration/plan-declaration.ts";
import type { ServedFleet } from "../../protocol/declaration/declared-fleet.ts";
import { declarationOfFleet, declarationOfServed } from "./declaration.ts";
import { declaredChanges } from "./declared-changes.ts";

export interface Compared {
  readonly fleet: Fleet;
  readonly base?: { readonly fleet: Fleet } | undefined;
  /** What a gateway said; undefined when none was asked. */
  readonly served?:
    | {
        readonly gateway: string;
        readonly served: { readonly fleet: string; readonly declared: ServedFleet } | undefined;
        readonly remark: string | null;
      }
    | undefined;
  /** Models that the plan is confined to. */
  readonly targets?: readonly string[] | undefined;
}

/** The settings of the files against those of the base; without one against what the running gateway serves. */
export function compareDeclarations({ fleet, base, served, targets }: Compared): PlanDeclaration {
  const isMeant = confinedTo(targets ?? []);
  if (base !== undefined) {
    const changes = declaredChanges(declarationOfFleet(base.fleet), declarationOfFleet(fleet)).filter(
      isMeant,
    );
    return { compared_with: "base", gateway: null, remark: null, changes };
  }
  const nothing = { compared_with: null, gateway: served?.gateway ?? null, changes: [] };
  if (served?.served === undefined) return { ...nothing, remark: served?.remark ?? null };
  const { fleet: name, declared } = served.served;
  if (name !== fleet.fleet.name)
    return { ...nothing, remark: `the gateway at ${served.gateway} serves another fleet, ${name}` };
  const changes = declaredChanges(declarationOfServed(declared), declarationOfFleet(fleet)).filter(isMeant);
  const { overridden } = declared;
  const remark =
    overridden.length === 0 ? null : `decided by the environment of the gateway: ${overridden.join(", ")}`;
  return { compared_with: "gateway", gateway: served.gateway, remark, changes };
}

/** What a plan for some models is about: their blocks, and aliases of them. */
const confinedTo =
  (targets: readonly string[]) =>
  ({ table, name, renamed_from: former, fields }: DeclaredChange): boolean => {
    if (targets.length === 0) return true;
    const named = table === "aliases" ? fields.flatMap(({ from, to }) => [from, to]) : [name, former];
    return (
      (table === "aliases" || table === "models") && named.some((id) => id !== null && targets.includes(id))
    );
  };
