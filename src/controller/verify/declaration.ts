import type { DeclaredChange } from "../../protocol/declaration/plan-declaration.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { Findings } from "./findings.ts";

/**
 * Settings that differ are for people: no row depends on them. What they say has to hang together all the same, and
 * to keep the secret that a hash is.
 */
export function verifyDeclaration({ declaration }: PlanDocument): Findings {
  const found = new Findings();
  const ids = new Set<string>();
  for (const change of declaration.changes) {
    const expect = (holds: boolean, message: string): void => {
      found.expect(holds, "structure", { where: change.id, message });
    };
    expect(!ids.has(change.id), "is there twice");
    ids.add(change.id);
    expect(
      change.id === [change.table, change.name ?? []].flat().join(" "),
      "has an id that says something else",
    );
    expect(
      (change.kind === "renamed") === (change.renamed_from !== null),
      "is renamed and comes from nowhere, or the other way round",
    );
    expect(change.kind !== "changed" || change.fields.length > 0, "is changed in nothing");
    for (const field of change.fields) expect(differs(change, field), `differs in ${field.key} and does not`);
    expect(!/\b[0-9a-f]{64}\b/.test(shownOfKey(change)), "shows the hash of a key");
  }
  const { compared_with: compared, gateway, changes } = declaration;
  const isKnown = compared === null ? changes.length === 0 : (compared === "gateway") === (gateway !== null);
  found.expect(isKnown, "structure", { where: "declaration", message: "does not say what was compared" });
  return found;
}

/** An added setting comes from nothing, a removed one goes to nothing, any other has two values. */
function differs({ kind }: DeclaredChange, { from, to }: DeclaredChange["fields"][number]): boolean {
  if (kind === "added") return from === null && to !== null;
  return kind === "removed" ? from !== null && to === null : from !== to;
}

const shownOfKey = ({ table, fields }: DeclaredChange): string =>
  table === "keys" ? fields.map(({ from, to }) => `${from ?? ""} ${to ?? ""}`).join(" ") : "";
