import { assertNever } from "../../core/assert-never.ts";
import { formatMib } from "../../core/quantities.ts";
import type { FleetState } from "../../protocol/gateway-api.ts";
import type { DeviceUse } from "../overview/device-use.ts";
import { originText, type ModelCopy, type ModelRow } from "../overview/model-rows.ts";
import type { NeuronRow } from "../overview/neuron-rows.ts";
import { wrapText } from "../print/wrap-text.ts";
import { agoText, memoryPair, rateText, shortDuration } from "../print/short-words.ts";
import { headLine, placeColumns, rowLine, type Column } from "./columns.ts";
import { ruleLine, spanLine, type FrameLook, type Span } from "./frame-look.ts";
import { helpLines } from "./help-lines.ts";
import { modelsOf, neuronsOf } from "./listed-rows.ts";
import { memoryBar, memoryLegend } from "./memory-bar.ts";
import { MODEL_STYLES, NEWS_COLUMNS, newsCells, requestCells } from "./pane-lines.ts";
import type { Page, TextAsked, TopState } from "./top-state.ts";

/** All lines of a page, however many there are; its title first. */
// oxlint-disable-next-line max-params -- of what, which, how
export function pageLines(state: TopState, page: Page, look: FrameLook): string[] {
  switch (page.kind) {
    case "neuron":
      return [
        titleLine(`neuron ${page.name}`, [memoryLegend(look)], look),
        ...neuronPage(state, page.name, look),
      ];
    case "model":
      return [titleLine(`model ${page.id}`, [], look), ...modelPage(state, page.id, look)];
    case "text":
      return [titleLine(textTitle(page.of), [], look), ...textPage(page, look)];
    case "help":
      return [titleLine("help", [], look), ...helpLines(look)];
    default:
      return assertNever(page);
  }
}

// oxlint-disable-next-line max-params -- what, what beside it, how
const titleLine = (name: string, notes: readonly string[], look: FrameLook): string =>
  ruleLine({ name, isFocused: true, notes }, look.columns, look);

const TITLES: Readonly<Record<TextAsked["kind"], string>> = {
  plan: "plan of the fleet files",
  why: "why",
  request: "request",
};

const textTitle = (of: TextAsked): string =>
  of.kind === "why"
    ? `${TITLES.why} ${of.model}`
    : of.kind === "request"
      ? `${TITLES.request} ${of.id}`
      : TITLES.plan;

function textPage({ text, problem }: Extract<Page, { kind: "text" }>, look: FrameLook): string[] {
  if (problem !== null) return spansOf([[{ text: ` ${problem}`, style: "red" }]], look);
  if (text === null) return spansOf([[{ text: " one moment", style: "yellow" }]], look);
  return wrapText(text, look.columns - 2)
    .split("\n")
    .map((line) => ` ${line}`.trimEnd());
}

const spansOf = (lines: readonly (readonly Span[])[], look: FrameLook): string[] =>
  lines.map((spans) => spanLine(spans, look.columns, look));

/** "state  ready": facts in two columns. */
const factLines = (facts: readonly (readonly [name: string, value: Span])[], look: FrameLook): string[] =>
  spansOf(
    facts.map(([name, value]) => [{ text: ` ${name.padEnd(10)}`, style: "dim" }, value]),
    look,
  );

// oxlint-disable-next-line max-params -- its title, what is in it, how
function tableLines(
  title: string,
  table: { readonly columns: readonly Column[]; readonly rows: readonly (readonly Span[])[] },
  look: FrameLook,
): string[] {
  if (table.rows.length === 0) return [];
  const columns = placeColumns(table.columns, look.columns);
  const rows = table.rows.map((cells) => rowLine({ cells, isSelected: false }, columns, look));
  return ["", ...spansOf([[{ text: ` ${title}`, style: "bold" }]], look), headLine(columns, look), ...rows];
}

// oxlint-disable-next-line max-params -- of what, which, how
function neuronPage(state: TopState, name: string, look: FrameLook): string[] {
  const row = neuronsOf(state.fleet).find((candidate) => candidate.name === name);
  const neuron = state.fleet?.neurons.find((candidate) => candidate.name === name);
  if (row === undefined || neuron === undefined)
    return spansOf([[{ text: ` ${name} is declared no more`, style: "yellow" }]], look);
  const copies = modelsOf(state.fleet).flatMap((model) =>
    model.copies.filter((copy) => copy.neuron === name).map((copy) => ({ model, copy })),
  );
  return [
    ...factLines(neuronFacts(state, row, neuron.generation), look),
    "",
    ...row.devices.flatMap((device) => deviceLines(device, look)),
    ...tableLines(
      "Copies",
      { columns: COPY_COLUMNS, rows: copies.map(({ copy }) => copyCells(copy, copy.model.id, state.nowMs)) },
      look,
    ),
    ...loadLines(state, ({ node }) => node === name, look),
    ...newsLines(state, ({ about, text }) => about === name || text.includes(` ${name}`), look),
  ];
}

// oxlint-disable-next-line max-params -- when, of which, at what
function neuronFacts(
  { nowMs }: TopState,
  row: NeuronRow,
  generation: number | null,
): (readonly [string, Span])[] {
  const style = row.state === "ready" ? "green" : row.state === "down" ? "red" : "yellow";
  const up = row.uptimeSecs === null ? "" : `, up ${shortDuration(row.uptimeSecs * 1000)}`;
  return [
    ["state", { text: row.state, style }],
    ...(row.problem === null ? [] : [["problem", { text: row.problem, style: "red" }] as const]),
    ["endpoint", { text: `${row.endpoint}${up}, generation ${generation ?? "unknown"}` }],
    [
      "work",
      { text: `${row.inFlight} in flight, ${row.queued} queued, ${rateText(row.tokensPerSec)} tok/s` },
    ],
    ["seen", { text: agoText(row.lastSeenMs, nowMs) }],
  ];
}

function deviceLines(device: DeviceUse, look: FrameLook): string[] {
  const width = Math.max(20, look.columns - 46);
  const parts = [
    [device.residentMb, "resident"],
    [device.onDemandMb, "on demand"],
    [device.foreignMb, "foreign"],
    [device.freeMb, "free"],
  ] as const;
  const said = parts.filter(([mb]) => mb > 0).map(([mb, what]) => `${formatMib(mb)} ${what}`);
  const readings = [
    ...(device.utilizationPct === null ? [] : [`GPU ${Math.round(device.utilizationPct)} %`]),
    ...(device.tempC === null ? [] : [`${Math.round(device.tempC)} C`]),
  ];
  return spansOf(
    [
      [
        { text: ` ${device.index} ${device.name}`.slice(0, 22).padEnd(23) },
        memoryBar(device, width, look),
        { text: ` ${memoryPair(device.totalMb - device.freeMb, device.totalMb)}` },
      ],
      [{ text: `${" ".repeat(23)}${[...said, ...readings].join("  ")}`, style: "dim" }],
    ],
    look,
  );
}

const COPY_COLUMNS: readonly Column[] = [
  { name: "COPY", width: 20, grows: 2, most: 48 },
  { name: "STATE", width: 9 },
  { name: "DEVICES", width: 7, drop: 5 },
  { name: "MEMORY", width: 8, right: true, drop: 1 },
  { name: "SLOTS", width: 5, right: true, drop: 1 },
  { name: "QUEUE", width: 5, right: true, drop: 2 },
  { name: "TOK/S", width: 5, right: true, drop: 4 },
  { name: "LAST", width: 8, right: true, drop: 3 },
  { name: "WHY", width: 12, wish: 24, grows: 2, drop: 6 },
];

// oxlint-disable-next-line max-params -- which, by what name, when
function copyCells(copy: ModelCopy, name: string, nowMs: number): readonly Span[] {
  const { model } = copy;
  const { load } = model;
  const cannot = model.status === "loaded" && !model.servable.ok;
  return [
    { text: name },
    {
      text: cannot ? "stuck" : model.status,
      style: cannot ? "red" : model.status === "loaded" ? "green" : "yellow",
    },
    { text: model.devices.join(",") },
    { text: formatMib(model.vram_used_mb) },
    { text: load === null ? "-" : `${load.in_flight}/${load.max_in_flight}` },
    { text: load === null ? "-" : String(load.queue_depth) },
    { text: model.tokens_per_sec === undefined ? "-" : rateText(model.tokens_per_sec) },
    { text: agoText(model.last_used_ms ?? null, nowMs) },
    {
      text: cannot ? (model.servable.detail ?? model.servable.reason ?? "") : originText(copy),
      style: "dim",
    },
  ];
}

// oxlint-disable-next-line max-params -- of what, which, how
function modelPage(state: TopState, id: string, look: FrameLook): string[] {
  const row = modelsOf(state.fleet).find((candidate) => candidate.id === id);
  if (row === undefined)
    return spansOf([[{ text: ` ${id} is neither declared nor loaded any more`, style: "yellow" }]], look);
  const requests = state.requests.filter(({ model }) => model === id).slice(0, 8);
  return [
    ...factLines(modelFacts(state, row), look),
    ...tableLines(
      "Copies",
      { columns: COPY_COLUMNS, rows: row.copies.map((copy) => copyCells(copy, copy.neuron, state.nowMs)) },
      look,
    ),
    ...loadLines(state, ({ model }) => model === id, look),
    ...tableLines(
      "Latest requests",
      { columns: REQUEST_COLUMNS, rows: requests.map((request) => requestCells(request, state.nowMs)) },
      look,
    ),
    ...newsLines(state, ({ about }) => about === id, look),
  ];
}

const REQUEST_COLUMNS: readonly Column[] = [
  { name: "AGE", width: 5, right: true },
  { name: "MODEL", width: 10, grows: 1, most: 40, drop: 9 },
  { name: "NEURON", width: 8, grows: 1, most: 20, drop: 2 },
  { name: "KEY", width: 9, grows: 1, most: 16, drop: 4 },
  { name: "OUTCOME", width: 12, grows: 1, most: 30 },
  { name: "FIRST", width: 7, right: true, drop: 1 },
  { name: "TOOK", width: 7, right: true },
  { name: "REQUEST", width: 10, grows: 1, most: 36, drop: 3 },
];

/** Words of the fleet files that say most about where a model goes and how it answers. */
const DECLARED_KEYS = [
  "source",
  "replicas",
  "residency_priority",
  "protect",
  "pinned_on",
  "min_devices",
  "vram_mb",
  "context",
  "parallel",
] as const;

/** Nobody needs to be told of these. */
const USUAL: ReadonlySet<string> = new Set(["min_devices = 1", "protect = false", "pinned_on = []"]);

function modelFacts({ fleet }: TopState, row: ModelRow): (readonly [string, Span])[] {
  const block = fleet?.declared.models.find(({ id }) => id === row.id);
  const said = DECLARED_KEYS.flatMap((key) => {
    const value = block?.[key];
    const text = JSON.stringify(value);
    return value === undefined || USUAL.has(`${key} = ${text}`) ? [] : [`${key} = ${text}`];
  });
  const aliases = Object.entries(fleet?.declared.aliases ?? {})
    .filter(([, target]) => target === row.id)
    .map(([alias]) => alias);
  return [
    ["state", { text: row.state, style: MODEL_STYLES[row.state] }],
    ["why", { text: row.why }],
    [
      "work",
      {
        text: `${row.inFlight} of ${row.slots} slots, ${row.queued} queued, ${row.tokensPerSec === null ? "no speed measured" : `${rateText(row.tokensPerSec)} tok/s`}`,
      },
    ],
    ["declared", { text: block === undefined ? "by no block" : said.join("  ") }],
    ...(aliases.length === 0 ? [] : [["aliases", { text: aliases.join(", ") }] as const]),
  ];
}

type Loads = FleetState["loads"][number];

// oxlint-disable-next-line max-params -- of what, which, how
function loadLines(
  state: TopState,
  isWanted: (load: Pick<Loads, "model" | "node">) => boolean,
  look: FrameLook,
): string[] {
  const { loads = [], failed_loads: failed = [] } = state.fleet ?? {};
  const lines = [
    ...loads.filter(isWanted).map(({ model, node, state: word, progress, waiting, evict = [] }): Span[] => [
      { text: `  ${model} on ${node}  ` },
      { text: progress === null ? word : `${word} ${Math.round(progress * 100)} %`, style: "yellow" },
      {
        text: `, ${waiting} waiting${evict.length === 0 ? "" : `, in the place of ${evict.join(" and ")}`}`,
      },
    ]),
    ...failed
      .filter(isWanted)
      .map(({ model, node, code, message, times }): Span[] => [
        { text: `  ${model} on ${node}  ` },
        { text: `failed ${times === 1 ? "once" : `${times} times`}: ${code}: ${message}`, style: "red" },
      ]),
  ];
  return lines.length === 0 ? [] : ["", ...spansOf([[{ text: " Loads", style: "bold" }], ...lines], look)];
}

// oxlint-disable-next-line max-params -- of what, which, how
function newsLines(
  state: TopState,
  isWanted: (item: TopState["news"][number]) => boolean,
  look: FrameLook,
): string[] {
  const news = state.news.filter(isWanted).slice(0, 50);
  if (news.length === 0) return [];
  const columns = placeColumns(NEWS_COLUMNS, look.columns);
  const rows = news.map((item) => rowLine({ cells: newsCells(item), isSelected: false }, columns, look));
  return ["", ...spansOf([[{ text: " Events", style: "bold" }]], look), ...rows];
}
