import { nearest } from "../core/nearest.ts";
import { diagnostic, type Diagnostic } from "./diagnostics.ts";
import { SCALAR_SETTINGS, type ScalarSetting } from "./fleet-schema.ts";
import { environmentPlace, type MergedFleetDocument } from "./merge-fleet-files.ts";

const PREFIX = "CORTEX_";

const variableName = ({ table, key }: ScalarSetting): string =>
  `${PREFIX}${table.toUpperCase()}__${key.toUpperCase()}`;

const settingsByVariable = new Map(SCALAR_SETTINGS.map((setting) => [variableName(setting), setting]));

/** A variable that a person meant as an override: `__` nests, and a single `_` in its place is a slip. */
function looksLikeOverride(name: string): boolean {
  if (!name.startsWith(PREFIX)) return false;
  if (name.slice(PREFIX.length).includes("__")) return true;
  return [...settingsByVariable.keys()].some((known) => known.replace("__", "_") === name);
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
    const setting = settingsByVariable.get(name);
    if (setting === undefined) findings.push(unknownOverride(name, text));
    else merged.override(setting, { name, text });
  }
  return findings;
}

function unknownOverride(name: string, text: string): Diagnostic {
  const meant = nearest(name, [...settingsByVariable.keys()]);
  return diagnostic({
    code: "CTX118",
    at: environmentPlace(name, text),
    message: `${name} overrides nothing: the fleet files have no such setting`,
    help:
      meant === undefined
        ? `settings that can be overridden: ${[...settingsByVariable.keys()].join(", ")}`
        : `did you mean ${meant}?`,
  });
}
