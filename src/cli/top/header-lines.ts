import type { FleetTraffic } from "../../protocol/gateway-api.ts";
import { shortRevision } from "../overview/model-rows.ts";
import type { Paint } from "../print/paint.ts";
import { latencyText, rateText } from "../print/short-words.ts";
import { edgedLine, glyphs, spanLine, type FrameLook, type Span } from "./frame-look.ts";
import { modelsOf, neuronsOf } from "./listed-rows.ts";
import { loopSpan } from "./loop-news.ts";
import { clockText } from "./pane-lines.ts";
import { sparkline } from "./samples.ts";
import type { SyncFacts, TopState } from "./top-state.ts";

const HEALTH_STYLES = { ok: "green", impaired: "yellow", degraded: "red" } as const;

/** Which fleet, how it is, at which revision; and what it does. */
export const headerLines = (state: TopState, look: FrameLook): string[] => [
  fleetLine(state, look),
  trafficLine(state, look),
];

function fleetLine(state: TopState, look: FrameLook): string {
  const { fleet } = state;
  const name: Span = { text: ` ${fleet?.fleet ?? "cortex"}`, style: "bold" };
  const left = [name, { text: "  " }, ...healthSpans(state, look)];
  const right = [
    [{ text: clockText(state.nowMs), style: "dim" as const }],
    ...(fleet === null ? [] : [countSpans(state)]),
  ];
  return edgedLine([...left, { text: "   " }, ...revisionSpans(state)], right.toReversed(), look);
}

/** While nothing is heard of the gateway that is said in the place of its health: what is shown is old. */
function healthSpans({ connection, fleet, nowMs }: TopState, look: FrameLook): Span[] {
  const { dot, ring, ellipsis } = glyphs(look);
  if (connection.kind === "broken") {
    const secs = Math.max(0, Math.ceil((connection.retryAtMs - nowMs) / 1000));
    const when = secs === 0 ? "now" : `in ${secs} s`;
    const text = `${ring} no events since ${clockText(connection.sinceMs)}, reconnecting ${when}`;
    return [{ text, style: "red" }];
  }
  if (fleet === null) return [{ text: `${ring} connecting ${ellipsis}`, style: "yellow" }];
  const { status } = fleet.health;
  return [{ text: `${dot} ${status}`, style: HEALTH_STYLES[status] }];
}

function countSpans({ fleet }: TopState): Span[] {
  const neurons = neuronsOf(fleet);
  const ready = neurons.filter(({ state }) => state === "ready").length;
  const models = modelsOf(fleet);
  const resident = models.filter(({ declared }) => (declared ?? 0) > 0);
  const there = resident.filter(({ state }) => state === "serving").length;
  return [
    { text: `${ready}/${neurons.length}`, style: ready < neurons.length ? "yellow" : undefined },
    { text: " neurons  ", style: "dim" },
    { text: `${there}/${resident.length}`, style: there < resident.length ? "yellow" : undefined },
    { text: " resident", style: "dim" },
  ];
}

/** How far the fleet is from its files: declared copies that are not there, and what was done by hand. */
export function driftCount({ fleet }: Pick<TopState, "fleet">): number {
  if (fleet === null) return 0;
  const drained = new Map(fleet.declared.neurons.map((block) => [block.name, block["drain"] === true]));
  const byHand = fleet.neurons.filter(({ name, draining }) => draining && drained.get(name) !== true).length;
  const models = modelsOf(fleet).filter(
    ({ state, copies }) => state === "missing" || copies.some(({ kind }) => kind === "manual"),
  ).length;
  return byHand + models;
}

function revisionSpans(state: TopState): Span[] {
  const { sync } = state;
  const live = sync?.liveRevision ?? revisionOfCopies(state);
  if (live === null && sync === null) return driftSpans(state);
  const revision = live === null ? "nothing applied yet" : `rev ${shortRevision(live)}`;
  const verdict = sync === null ? null : syncVerdict(sync, live);
  const loop = sync?.loop ?? null;
  return [
    { text: revision },
    ...(verdict === null ? [] : [{ text: " " }, verdict]),
    ...driftSpans(state),
    ...(loop === null ? [] : [loopSpan(loop, live)]),
  ];
}

function driftSpans(state: TopState): Span[] {
  const drift = driftCount(state);
  return drift === 0 ? [] : [{ text: `  drift ${drift}`, style: "yellow" }];
}

function syncVerdict({ attempted, head }: SyncFacts, live: string | null): Span {
  const style: Paint = "yellow";
  if (attempted !== null)
    return { text: `(${shortRevision(attempted.revision ?? undefined)}: ${attempted.result})`, style: "red" };
  if (head.revision !== null && head.revision !== live)
    return { text: `(${shortRevision(head.revision)} not applied)`, style };
  return head.isDirty ? { text: "(files uncommitted)", style } : { text: "in sync", style: "green" };
}

/** What most copies say that they were loaded by, where no history tells. */
function revisionOfCopies({ fleet }: TopState): string | null {
  const counts = new Map<string, number>();
  for (const { copies } of modelsOf(fleet)) {
    for (const { kind, model } of copies) {
      const ref = model.origin?.ref;
      if (kind !== "resident" || model.origin?.kind !== "revision" || ref === undefined) continue;
      counts.set(ref, (counts.get(ref) ?? 0) + 1);
    }
  }
  return [...counts].toSorted(([, one], [, other]) => other - one)[0]?.[0] ?? null;
}

const ROOMY = 120;
const WIDE = 190;

/** Widths of the parts that depend on the room there is. */
function sparkWidths({ columns }: FrameLook) {
  const usual = columns >= WIDE ? 24 : columns >= 150 ? 14 : columns >= ROOMY ? 8 : 6;
  return { usual, firsts: columns >= ROOMY ? usual : 0, errors: columns >= WIDE ? usual : 0 };
}

const figure = (text: string): Span => ({ text: text.padStart(5), style: "bold" });
const label = (text: string): Span => ({ text, style: "dim" });

function trafficLine({ fleet, samples }: TopState, look: FrameLook): string {
  const traffic = fleet?.traffic;
  const widths = sparkWidths(look);
  const spark = (values: readonly number[], width: number): Span => ({
    text: width === 0 ? "   " : ` ${sparkline(values, width, look.unicode)}   `,
    style: "cyan",
  });
  return spanLine(
    [
      label(" req/s"),
      figure(rateOf(traffic?.requests_per_sec)),
      spark(samples.requestsPerSec, widths.usual),
      label("tok/s"),
      figure(rateOf(traffic?.tokens_per_sec)),
      spark(samples.tokensPerSec, widths.usual),
      label("first "),
      { text: firstTokenText(traffic), style: "bold" },
      spark(samples.firstTokenMs, widths.firsts),
      label("err/min "),
      errorSpan(traffic),
      spark(samples.errorsPerMin, widths.errors),
      ...(look.columns < ROOMY
        ? []
        : [label("in flight "), figure(String(traffic?.requests_in_flight ?? "-"))]),
    ],
    look.columns,
    look,
  );
}

const rateOf = (rate: number | undefined): string => (rate === undefined ? "-" : rateText(rate));

const firstTokenText = (traffic: FleetTraffic | undefined): string => {
  const first = traffic?.first_token_ms;
  return first == null ? "-" : `${latencyText(first.p50)} p95 ${latencyText(first.p95)}`;
};

function errorSpan(traffic: FleetTraffic | undefined): Span {
  const errors = traffic?.errors_per_min;
  if (errors === undefined) return { text: "-", style: "bold" };
  return { text: String(errors), style: errors > 0 ? "red" : "bold" };
}
