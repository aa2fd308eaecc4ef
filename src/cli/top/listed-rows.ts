import { assertNever } from "../../core/assert-never.ts";
import { compareText } from "../../core/order.ts";
import type { FleetState } from "../../protocol/gateway-api.ts";
import type { RequestSummary } from "../../protocol/request-explanation.ts";
import { modelRows, type ModelRow } from "../overview/model-rows.ts";
import { neuronRows, type NeuronRow } from "../overview/neuron-rows.ts";
import type { NewsItem } from "./fleet-news.ts";
import type { Pane, PaneList, TopState } from "./top-state.ts";

interface Order<Row> {
  readonly name: string;
  /** Negative: the first comes first. Rows that are equal stand by their key. */
  readonly compare: (one: Row, other: Row) => number;
}

const descending =
  <Row>(of: (row: Row) => number) =>
  (one: Row, other: Row): number =>
    of(other) - of(one);

/** What needs a look comes first. */
const MODEL_URGENCY: Readonly<Record<ModelRow["state"], number>> = {
  stuck: 0,
  missing: 1,
  failed: 2,
  unknown: 3,
  draining: 4,
  loading: 5,
  leaving: 6,
  serving: 7,
  cold: 8,
};

const NEURON_URGENCY: Readonly<Record<NeuronRow["state"], number>> = {
  down: 0,
  unknown: 1,
  "missing polls": 2,
  draining: 3,
  ready: 4,
};

const MODEL_ORDERS: readonly Order<ModelRow>[] = [
  { name: "state", compare: (one, other) => MODEL_URGENCY[one.state] - MODEL_URGENCY[other.state] },
  { name: "name", compare: () => 0 },
  { name: "busy", compare: descending(({ inFlight, queued }) => inFlight + queued) },
  { name: "tok/s", compare: descending(({ tokensPerSec }) => tokensPerSec ?? -1) },
  { name: "memory", compare: descending(({ memoryMb }) => memoryMb) },
  { name: "last used", compare: descending(({ lastUsedMs }) => lastUsedMs ?? 0) },
];

const usedShare = ({ devices }: NeuronRow): number => {
  const total = devices.reduce((sum, { totalMb }) => sum + totalMb, 0);
  return total === 0 ? 0 : devices.reduce((sum, device) => sum + device.totalMb - device.freeMb, 0) / total;
};

const NEURON_ORDERS: readonly Order<NeuronRow>[] = [
  { name: "name", compare: () => 0 },
  { name: "state", compare: (one, other) => NEURON_URGENCY[one.state] - NEURON_URGENCY[other.state] },
  { name: "memory", compare: descending(usedShare) },
  { name: "busy", compare: descending(({ inFlight, queued }) => inFlight + queued) },
  { name: "tok/s", compare: descending(({ tokensPerSec }) => tokensPerSec) },
];

const REQUEST_ORDERS: readonly Order<RequestSummary>[] = [
  { name: "latest", compare: descending(({ started_at_ms: atMs }) => atMs) },
  { name: "slowest", compare: descending(({ duration_ms: tookMs }) => tookMs ?? Infinity) },
  { name: "first token", compare: descending(({ first_token_ms: firstMs }) => firstMs ?? -1) },
  { name: "status", compare: descending(({ status }) => status ?? 0) },
];

const ORDERS: Readonly<Record<Pane, readonly { readonly name: string }[]>> = {
  neurons: NEURON_ORDERS,
  models: MODEL_ORDERS,
  requests: REQUEST_ORDERS,
  events: [{ name: "latest" }],
};

export const orderCount = (pane: Pane): number => ORDERS[pane].length;

export const orderName = (pane: Pane, { sort, isReversed }: PaneList): string =>
  `${ORDERS[pane][sort]?.name ?? ""}${isReversed ? " reversed" : ""}`;

interface Listing<Row> {
  readonly keyOf: (row: Row) => string;
  /** What the filter looks at. */
  readonly textOf: (row: Row) => string;
  readonly orders: readonly Order<Row>[];
}

function listed<Row>(
  rows: readonly Row[],
  { keyOf, textOf, orders }: Listing<Row>,
  { list, filter }: { readonly list: PaneList; readonly filter: string },
): readonly Row[] {
  const wanted = filter.toLowerCase();
  const found = wanted === "" ? rows : rows.filter((row) => textOf(row).toLowerCase().includes(wanted));
  const order = orders[list.sort];
  const sign = list.isReversed ? -1 : 1;
  return found.toSorted(
    (one, other) => sign * ((order?.compare(one, other) ?? 0) || compareText(keyOf(one), keyOf(other))),
  );
}

const wordsOfModel = ({ id, state, copies, why }: ModelRow): string =>
  [id, state, ...copies.map(({ neuron }) => neuron), why].join(" ");

const wordsOfRequest = ({ model, node, key, status, code, request_id: id }: RequestSummary): string =>
  [model, node, key, status, code, id].join(" ");

/** A fleet's rows are asked for several times a frame, and cost a walk over every copy. */
const madeModels = new WeakMap<FleetState, readonly ModelRow[]>();
const madeNeurons = new WeakMap<FleetState, readonly NeuronRow[]>();

function made<Row>(
  kept: WeakMap<FleetState, readonly Row[]>,
  fleet: FleetState,
  make: (fleet: FleetState) => readonly Row[],
): readonly Row[] {
  const rows = kept.get(fleet) ?? make(fleet);
  kept.set(fleet, rows);
  return rows;
}

export const modelsOf = (fleet: FleetState | null): readonly ModelRow[] =>
  fleet === null ? [] : made(madeModels, fleet, modelRows);

export const neuronsOf = (fleet: FleetState | null): readonly NeuronRow[] =>
  fleet === null ? [] : made(madeNeurons, fleet, neuronRows);

export const listedModels = ({ fleet, lists, filter }: TopState): readonly ModelRow[] =>
  listed(
    modelsOf(fleet),
    { keyOf: ({ id }) => id, textOf: wordsOfModel, orders: MODEL_ORDERS },
    { list: lists.models, filter },
  );

export const listedNeurons = ({ fleet, lists, filter }: TopState): readonly NeuronRow[] =>
  listed(
    neuronsOf(fleet),
    { keyOf: ({ name }) => name, textOf: ({ name, state }) => `${name} ${state}`, orders: NEURON_ORDERS },
    { list: lists.neurons, filter: filterOfNeurons(fleet, filter) },
  );

/** A filter that no neuron has in its name is about models: all neurons stay in view. */
function filterOfNeurons(fleet: FleetState | null, filter: string): string {
  const wanted = filter.toLowerCase();
  return neuronsOf(fleet).some(({ name, state }) => `${name} ${state}`.toLowerCase().includes(wanted))
    ? filter
    : "";
}

export const listedRequests = ({ requests, lists, filter }: TopState): readonly RequestSummary[] =>
  listed(
    requests,
    { keyOf: ({ request_id: id }) => id, textOf: wordsOfRequest, orders: REQUEST_ORDERS },
    { list: lists.requests, filter },
  );

export function listedNews({ news, filter, lists }: TopState): readonly NewsItem[] {
  const wanted = filter.toLowerCase();
  const found =
    wanted === ""
      ? news
      : news.filter(({ about, text }) => `${about} ${text}`.toLowerCase().includes(wanted));
  return lists.events.isReversed ? found.toReversed() : found;
}

export const newsKey = ({ atMs, about, text }: NewsItem): string => `${atMs} ${about} ${text}`;

/** Keys of the rows of a pane, in the order in which they stand. */
export function listedKeys(state: TopState, pane: Pane): readonly string[] {
  switch (pane) {
    case "neurons":
      return listedNeurons(state).map(({ name }) => name);
    case "models":
      return listedModels(state).map(({ id }) => id);
    case "requests":
      return listedRequests(state).map(({ request_id: id }) => id);
    case "events":
      return listedNews(state).map(newsKey);
    default:
      return assertNever(pane);
  }
}

/** The row that is selected: the first one where none is, or where it has gone. */
export function selectedKey(state: TopState, pane: Pane): string | null {
  const keys = listedKeys(state, pane);
  const { selected } = state.lists[pane];
  return selected !== null && keys.includes(selected) ? selected : (keys[0] ?? null);
}
