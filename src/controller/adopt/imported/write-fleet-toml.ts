import { SCHEMA_PATH } from "../../../fleet/schema/fleet-json-schema.ts";
import { tomlKey, tomlValue } from "../../../fleet/text/toml-value.ts";
import type { ImportedFleet } from "./import-report.ts";

/** Fleet files in the form in which a person keeps them. */
export interface WrittenFile {
  readonly path: string;
  readonly text: string;
}

/** An imported fleet as `fleet.toml` and `models.toml`. */
export function writeFleetToml(
  fleet: ImportedFleet,
  head: { readonly fleetName: string; readonly origin: string },
): WrittenFile[] {
  const opening = (about: string) => `#:schema ./${SCHEMA_PATH}\n\n# ${about}, ${head.origin}.\n`;
  const former = fleet.takesOver.filter((name) => name !== head.fleetName);
  const formerFleets = former.length === 0 ? undefined : former;
  const machines = [
    block("[fleet]", { name: head.fleetName, takes_over: formerFleets }),
    block("[gateway]", fleet.gateway),
    block("[eviction]", fleet.eviction),
    ...fleet.neurons.map((neuron) => block("[[neurons]]", neuron)),
    ...fleet.keys.map((key) => block("[[keys]]", key)),
  ];
  const models = [
    ...fleet.models.map((model) => block("[[models]]", model)),
    block("[aliases]", fleet.aliases),
  ];
  return [
    {
      path: "fleet.toml",
      text: [opening("The fleet and its machines"), ...machines].filter(isSaid).join("\n"),
    },
    {
      path: "models.toml",
      text: [opening("What the fleet offers"), ...models].filter(isSaid).join("\n"),
    },
  ];
}

const isSaid = (text: string): boolean => text !== "";

/** Empty for a table that says nothing. */
function block(header: string, values: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [`${tomlKey(key)} = ${tomlValue(value)}\n`],
  );
  return lines.length === 0 ? "" : `${header}\n${lines.join("")}`;
}
