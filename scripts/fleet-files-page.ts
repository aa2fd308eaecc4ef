import { fleetJsonSchema } from "../src/fleet/schema/fleet-json-schema.ts";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

const INTRODUCTION = `# Fleet files

Generated from the schemas in \`src/fleet/schema/fleet-schema.ts\` by \`npm run docs\`.

A fleet is a directory of a git repository. Every \`*.toml\` below it counts (hidden files and folders, such as \`.cortex/\`, do not),
in the order of their paths: tables may be split over files, lists are joined, and a key or a name that is set twice is an
error that shows both places. One file is a fleet too. \`cortex init\` makes a repository; \`fleet.example.toml\` shows every key.

\`--config\` (and \`cortex validate PATH\`) takes

| form | what is read |
|---|---|
| \`fleet/\`, \`fleet.toml\` | the work tree, uncommitted changes among it: plans say so |
| \`fleet/\` with \`--ref REV\` | that revision, out of git's objects; the work tree is neither read nor touched, and what a submodule holds is not in it |
| \`git+<url>#<ref>:<path>\` | a remote repository (https, ssh, git, file), through a cache in the data directory; \`#ref\` and \`:path\` may be left out |

\`cortex validate\` reports all mistakes at once; [diagnostics.md](diagnostics.md) lists the codes.
\`--format github\` annotates the lines of a pull request, \`--format sarif\` feeds code scanning, \`--json\` feeds scripts.

## Overrides for one machine

Every value can be overridden by the environment, \`__\` nests: \`CORTEX_GATEWAY__LISTEN=127.0.0.1:8080\`. Blocks go by their name, with
every run of other characters as one \`_\`: \`CORTEX_NEURONS__BEAST__DRAIN=true\`, \`CORTEX_MODELS__QWEN_QWEN3_8B__REPLICAS=2\`.
Text is taken as it is where text is wanted; anything else is a TOML value (\`'["beast"]'\`). An override that hits nothing is an error.

## Editors

\`#:schema ./.cortex/fleet.schema.json\` in the first line (\`../.cortex/...\` in a folder below) lets editors with a TOML language server
(taplo, tombi, Even Better TOML) complete and check; the path is relative to the file, so it needs neither network nor installation.
\`cortex init\` writes that copy, \`cortex schema\` prints it, and [schema/fleet.schema.json](../schema/fleet.schema.json) ships with the package.

## Semantics

- **Resident or on demand.** \`replicas > 0\`: apply keeps that many copies loaded and nothing evicts them. \`replicas = 0\`: the gateway loads
  the model when it is asked for and evicts it by policy; loaded or not, that is no drift. A loaded model that no file declares is
  drift: apply unloads it, but only if cortex loaded it.
- **Where a model can go**: a neuron that \`pinned_on\` names (or any), with at least \`min_devices\` devices of \`min_device_vram_mb\`, whose memory
  beside residents of higher class holds the footprint. Free memory ranks neurons; it does not decide.
- **Who gives way**: a model may displace its own class (\`residency_priority\`) and lower ones.
- **Names**: aliases and ids share one namespace; an alias is one step.
- **Footprint**: measured facts win over \`vram_mb\` once they exist.
`;

/** docs/fleet-files.md: every key of the fleet files, from the JSON Schema that editors read. */
export function fleetFilesPage(): string {
  const schema = fleetJsonSchema() as Schema;
  const tables = Object.entries(schema.properties ?? {}).map(([name, table]) => section(name, table));
  return `${INTRODUCTION}\n${tables.join("\n")}`;
}

function section(name: string, table: Schema): string {
  const block = table.items ?? table;
  const heading = table.items === undefined ? `[${name}]` : `[[${name}]]`;
  const about = sentence(block.description ?? table.description ?? "");
  if (block.properties === undefined) return `## \`${heading}\`\n\n${about}\n`;
  return `## \`${heading}\`\n\n${about}\n\n| key | value | default | meaning |\n|---|---|---|---|\n${rows("", block).join("\n")}\n`;
}

function rows(prefix: string, block: Schema): string[] {
  return Object.entries(block.properties ?? {}).flatMap(([key, value]) => {
    const required = block.required?.includes(key) === true;
    const fallback = required ? "required" : shownDefault(value.default);
    const row = `| \`${prefix}${key}\` | ${valueText(value)} | ${fallback} | ${value.description ?? ""} |`;
    return [row, ...inner(`${prefix}${key}.`, value)];
  });
}

function inner(prefix: string, value: Schema): string[] {
  if (value.oneOf === undefined) return value.properties === undefined ? [] : rows(prefix, value);
  return value.oneOf.flatMap((option) =>
    Object.entries(option.properties ?? {}).map(
      ([key, choice]) =>
        `| \`${prefix}${key}\` | ${valueText(choice)} | required | ${choice.description ?? ""} |`,
    ),
  );
}

function valueText(value: Schema): string {
  if (value.const !== undefined) return `\`${JSON.stringify(value.const)}\``;
  if (value.enum !== undefined) return value.enum.map((choice) => `\`${JSON.stringify(choice)}\``).join(", ");
  if (value.items !== undefined) return `list of ${plural(value.items)}`;
  if (value.properties !== undefined || value.oneOf !== undefined || value.type === "object") return "table";
  if (value.format === "uri") return "URL";
  return [TYPE_NAMES[value.type ?? ""] ?? value.type ?? "", ...rangeText(value)].join(" ");
}

function rangeText(value: Schema): string[] {
  const { minimum, maximum, exclusiveMinimum } = value;
  const least = minimum ?? (value.type === "integer" ? above(exclusiveMinimum) : undefined);
  const range = [];
  if (least !== undefined) range.push(`from ${least}`);
  else if (exclusiveMinimum !== undefined) range.push(`above ${exclusiveMinimum}`);
  if (maximum !== undefined) range.push(`to ${maximum}`);
  return range;
}

const above = (bound: number | undefined): number | undefined =>
  bound === undefined ? undefined : bound + 1;

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "text",
  integer: "whole number",
  number: "number",
  boolean: "true, false",
};

const plural = (items: Schema): string => (items.type === "string" ? "texts" : `${items.type ?? "value"}s`);

function shownDefault(value: unknown): string {
  return value === undefined || JSON.stringify(value) === "{}" ? "" : `\`${tomlText(value)}\``;
}

function tomlText(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([key, part]) => `${key} = ${JSON.stringify(part)}`)
    .join(", ")} }`;
}

const sentence = (text: string): string =>
  text === "" ? "" : `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

/** docs/diagnostics.md: every code that a finding may have. */
