import { formatMib } from "../../core/quantities.ts";
import type { FleetState } from "../../protocol/gateway-api.ts";
import { modelRows, type ModelRow, type ModelRowState } from "../overview/model-rows.ts";
import { fitTable, type TableCell, type TableColumn } from "../print/fit-table.ts";
import { agoText, rateText } from "../print/short-words.ts";
import { STATE_LOOKS } from "../print/state-looks.ts";
import type { Look, View } from "../view/view.ts";

/** What `cortex models --json` prints. */
export interface ModelsReport {
  readonly fleet: string;
  readonly now_ms: number;
  readonly models: readonly {
    readonly id: string;
    readonly state: ModelRowState;
    readonly declared: number | null;
    readonly copies: readonly {
      readonly node: string;
      readonly status: string;
      readonly kind: string;
      readonly devices: readonly number[];
      readonly vram_used_mb: number;
    }[];
    readonly in_flight: number;
    readonly slots: number;
    readonly queued: number;
    readonly tokens_per_sec: number | null;
    readonly vram_used_mb: number;
    readonly last_used_ms: number | null;
    readonly why: string;
  }[];
}

export function modelsView(state: FleetState): View<ModelsReport> {
  const rows = modelRows(state);
  return {
    json: { fleet: state.fleet, now_ms: state.now_ms, models: rows.map(reported) },
    human: (look) => printModels(rows, state, look),
  };
}

const reported = (row: ModelRow): ModelsReport["models"][number] => ({
  id: row.id,
  state: row.state,
  declared: row.declared,
  copies: row.copies.map(({ neuron, model, kind }) => ({
    node: neuron,
    status: model.status,
    kind,
    devices: model.devices,
    vram_used_mb: model.vram_used_mb,
  })),
  in_flight: row.inFlight,
  slots: row.slots,
  queued: row.queued,
  tokens_per_sec: row.tokensPerSec,
  vram_used_mb: row.memoryMb,
  last_used_ms: row.lastUsedMs,
  why: row.why,
});

const COLUMNS: readonly TableColumn[] = [
  { name: "MODEL", least: 20 },
  { name: "STATE" },
  { name: "COPIES" },
  { name: "ON", least: 8, drop: 5 },
  { name: "SLOTS" },
  { name: "QUEUE", right: true },
  { name: "TOK/S", right: true, drop: 2 },
  { name: "MEMORY", right: true, drop: 3 },
  { name: "LAST", right: true, drop: 4 },
  { name: "WHY", least: 12, drop: 6 },
];

function printModels(rows: readonly ModelRow[], state: FleetState, look: Look): string {
  if (rows.length === 0) return `Fleet ${state.fleet} declares no model, and none is loaded.`;
  return fitTable(
    COLUMNS,
    rows.map((row) => modelCells(row, state.now_ms)),
    look,
  );
}

function modelCells(row: ModelRow, nowMs: number): TableCell[] {
  const { words, style } = STATE_LOOKS[row.state];
  const loaded = row.copies.filter(({ model }) => model.status === "loaded");
  const own = loaded.filter(({ kind }) => kind !== "foreign").length;
  const progress = row.loadProgress === null ? "" : ` ${Math.round(row.loadProgress * 100)} %`;
  return [
    { text: row.id },
    { text: words + progress, style },
    { text: `${row.declared === null ? loaded.length : own}/${row.declared ?? "-"}` },
    { text: row.copies.map(({ neuron }) => neuron).join(", ") },
    { text: row.slots === 0 ? "-" : `${row.inFlight}/${row.slots}` },
    { text: String(row.queued), style: row.queued > 0 ? "yellow" : undefined },
    { text: row.tokensPerSec === null ? "-" : rateText(row.tokensPerSec) },
    { text: row.memoryMb === 0 ? "-" : formatMib(row.memoryMb) },
    { text: agoText(row.lastUsedMs, nowMs) },
    { text: row.why, style: "dim" },
  ];
}
