import type { DeclaredChange } from "../../protocol/declaration/plan-declaration.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";

/* Sentences about settings that differ, for every rendering of a plan. */

const NOUNS: Readonly<Record<DeclaredChange["table"], string>> = {
  fleet: "[fleet]",
  gateway: "[gateway]",
  eviction: "[eviction]",
  ledger: "[ledger]",
  gitops: "[gitops]",
  neurons: "neuron",
  models: "model",
  keys: "key",
  aliases: "alias",
};

/** "model Qwen/Qwen3-8B", "[gateway]". */
export const declaredName = ({ table, name }: DeclaredChange): string =>
  name === null ? NOUNS[table] : `${NOUNS[table]} ${name}`;

/** "context 8192 -> 16384, cost.input not set -> 0.5". */
export function declaredFieldsText({ kind, fields, renamed_from: former }: DeclaredChange): string {
  const texts = fields.map(({ key, from, to }) => {
    const label = key === "" ? "" : `${key} `;
    if (kind === "added") return `${label}${to ?? ""}`;
    if (kind === "removed") return `${label}${from ?? ""}`;
    return `${label}${from ?? "not set"} -> ${to ?? "not set"}`;
  });
  return [...(former === null ? [] : [`renamed from ${former}`]), ...texts].join(", ");
}

export const differencesText = (count: number): string =>
  `${count} declared ${count === 1 ? "difference" : "differences"}`;

/** "3f2a1c9 (dirty)": the revision as short as it can be told. */
export function revisionText(revision: PlanDocument["revision"]): string {
  if (revision.commit === null) return `${revision.path} (not in git)`;
  return `${revision.commit.slice(0, 7)}${revision.dirty ? " (dirty)" : ""}`;
}

/** What the settings were compared with; undefined where nothing differs. */
export function declarationTitle({ declaration, comparison }: PlanDocument): string | undefined {
  if (declaration.changes.length === 0) return undefined;
  return declaration.compared_with === "gateway"
    ? `Declared otherwise than the gateway at ${declaration.gateway ?? ""} serves`
    : `Declared otherwise than at ${comparison === null ? "the base" : revisionText(comparison.revision)}`;
}

/** Who acts on it, since apply does not. */
export const WHO_ACTS =
  "The gateway acts on these when it reads the files again; apply loads and unloads models only.";

/** Why nothing was compared, or what was left out. */
export function declarationRemark({ declaration }: PlanDocument): string {
  const { remark, compared_with: compared } = declaration;
  if (remark === null) return "";
  return compared === null
    ? `Aliases, keys and other settings of the gateway were not compared: ${remark}.`
    : `Not compared: ${remark}.`;
}
