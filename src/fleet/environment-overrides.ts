import { nearest } from "../core/nearest.ts";
import { diagnostic, type Diagnostic } from "./diagnostics.ts";
import { SCALAR_SETTINGS } from "./fleet-schema.ts";
import { environmentPlace, type MergedFleetDocument } from "./merge-fleet-files.ts";

const PREFIX = "CORTEX_";

const variableName = (path: readonly [string, string]): string =>
  PREFIX + path.map((part) => part.toUpperCase()).join("__");

const pathsByVariable = new Map(SCALAR_SETTINGS.map((path) => [variableName(path), path]));

/** A variable that a person meant as an override: `__` nests, and a single `_` in its place is a slip. */
function looksLikeOverride(name: string): boolean {
  if (!name.startsWith(PREFIX)) return false;
  if (name.slice(PREFIX.length).includes("__")) return true;
  return [...pathsByVariable.keys()].some((known) => known.replace("__", "_") === name);
}

/**
 * Applies `CORTEX_GATEWAY__LISTEN=...` and its like. Only settings that stand alone can be overridden (neurons and
 * models are lists: a variable could not say which one); an override that hits nothing is an error, because a
 * machine that silently ignores its own setting is found out too late.
 */
export function applyOverrides(
  merged: MergedFleetDocument,
  variables: Readonly<Record<string, string>>,
): Diagnostic[] {
  const findings: Diagnostic[] = [];
  for (const [name, text] of Object.entries(variables).toSorted(([left], [right]) =>
    left < right ? -1 : 1,
  )) {
    if (!looksLikeOverride(name)) continue;
    const path = pathsByVariable.get(name);
    if (path === undefined) findings.push(unknownOverride(name, text));
    else merged.override(path, { name, text });
  }
  return findings;
}

function unknownOverride(name: string, text: string): Diagnostic {
  const meant = nearest(name, [...pathsByVariable.keys()]);
  return diagnostic({
    code: "CTX118",
    at: environmentPlace(name, text),
    message: `${name} overrides nothing: the fleet files have no such setting`,
    help:
      meant === undefined
        ? `settings that can be overridden: ${[...pathsByVariable.keys()].join(", ")}`
        : `did you mean ${meant}?`,
  });
}
