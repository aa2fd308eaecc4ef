import { formatMib } from "../../core/quantities.ts";
import type { FleetState } from "../../protocol/gateway-api.ts";
import { neuronRows, type NeuronRow, type NeuronRowState } from "../overview/neuron-rows.ts";
import { fitTable, type TableCell, type TableColumn } from "../print/fit-table.ts";
import type { Paint } from "../print/paint.ts";
import { agoText, memoryPair, rateText, shortDuration } from "../print/short-words.ts";
import type { Look, View } from "../view/view.ts";

/** What `cortex neurons --json` prints. */
export interface NeuronsReport {
  readonly fleet: string;
  readonly now_ms: number;
  readonly neurons: readonly {
    readonly name: string;
    readonly endpoint: string;
    readonly state: NeuronRowState;
    readonly problem: string | null;
    readonly devices: readonly {
      readonly index: number;
      readonly name: string;
      readonly kind: string;
      readonly vram_total_mb: number;
      readonly vram_used_mb: number | null;
      readonly resident_mb: number;
      readonly on_demand_mb: number;
      readonly foreign_mb: number;
      readonly free_mb: number;
      readonly utilization_pct: number | null;
      readonly temp_c: number | null;
    }[];
    readonly models: number;
    readonly in_flight: number;
    readonly queued: number;
    readonly tokens_per_sec: number;
    readonly uptime_secs: number | null;
    readonly last_seen_ms: number | null;
  }[];
}

export const NEURON_STYLES: Readonly<Record<NeuronRowState, Paint>> = {
  ready: "green",
  draining: "yellow",
  "missing polls": "yellow",
  unknown: "yellow",
  down: "red",
};

export function neuronsView(state: FleetState): View<NeuronsReport> {
  const rows = neuronRows(state);
  return {
    json: { fleet: state.fleet, now_ms: state.now_ms, neurons: rows.map(reported) },
    human: (look) => printNeurons(rows, state, look),
  };
}

const reported = (row: NeuronRow): NeuronsReport["neurons"][number] => ({
  name: row.name,
  endpoint: row.endpoint,
  state: row.state,
  problem: row.problem,
  devices: row.devices.map((device) => ({
    index: device.index,
    name: device.name,
    kind: device.kind,
    vram_total_mb: device.totalMb,
    vram_used_mb: device.usedMb,
    resident_mb: device.residentMb,
    on_demand_mb: device.onDemandMb,
    foreign_mb: device.foreignMb,
    free_mb: device.freeMb,
    utilization_pct: device.utilizationPct,
    temp_c: device.tempC,
  })),
  models: row.models,
  in_flight: row.inFlight,
  queued: row.queued,
  tokens_per_sec: row.tokensPerSec,
  uptime_secs: row.uptimeSecs,
  last_seen_ms: row.lastSeenMs,
});

const COLUMNS: readonly TableColumn[] = [
  { name: "NEURON", least: 8 },
  { name: "STATE", least: 8 },
  { name: "DEVICE", least: 10, drop: 4 },
  { name: "USED" },
  { name: "RESIDENT", right: true, drop: 3 },
  { name: "ON DEMAND", right: true, drop: 3 },
  { name: "FOREIGN", right: true, drop: 3 },
  { name: "GPU", right: true, drop: 2 },
  { name: "MODELS", right: true, drop: 1 },
  { name: "BUSY", right: true },
  { name: "TOK/S", right: true, drop: 2 },
  { name: "UP", right: true, drop: 5 },
];

/** A line for each device; what is of the neuron as a whole stands in its first. */
function printNeurons(rows: readonly NeuronRow[], state: FleetState, look: Look): string {
  if (rows.length === 0) return `Fleet ${state.fleet} declares no neuron.`;
  const table = fitTable(COLUMNS, rows.flatMap(neuronCells), look);
  const troubles = rows.flatMap(({ name, problem, lastSeenMs }) =>
    problem === null ? [] : [`${name}: ${problem}, seen ${agoText(lastSeenMs, state.now_ms)}`],
  );
  return [table, ...(troubles.length === 0 ? [] : ["", ...troubles])].join("\n");
}

function deviceCells(device: NeuronRow["devices"][number] | undefined): TableCell[] {
  if (device === undefined) return Array.from({ length: 6 }, () => ({ text: "-", style: "dim" as const }));
  return [
    { text: `${device.kind}:${device.index} ${device.name}` },
    { text: device.usedMb === null ? "-" : memoryPair(device.totalMb - device.freeMb, device.totalMb) },
    ...[device.residentMb, device.onDemandMb, device.foreignMb].map(memoryCell),
    { text: device.utilizationPct === null ? "-" : `${Math.round(device.utilizationPct)} %` },
  ];
}

function neuronCells(row: NeuronRow): TableCell[][] {
  const [first, ...others] = row.devices;
  const head: TableCell[] = [
    { text: row.name },
    { text: row.state, style: NEURON_STYLES[row.state] },
    ...deviceCells(first),
    { text: String(row.models) },
    { text: row.queued === 0 ? String(row.inFlight) : `${row.inFlight}+${row.queued}` },
    { text: rateText(row.tokensPerSec) },
    { text: row.uptimeSecs === null ? "-" : shortDuration(row.uptimeSecs * 1000) },
  ];
  return [head, ...others.map((device) => [{ text: "" }, { text: "" }, ...deviceCells(device)])];
}

const memoryCell = (mib: number): TableCell =>
  mib === 0 ? { text: "-", style: "dim" } : { text: formatMib(mib) };
