import { assertNever } from "../../core/assert-never.ts";
import type { FleetModelState, FleetNeuronState, FleetState } from "../../protocol/gateway-api.ts";

/** Something that happened, as it is told to people. */
export interface NewsItem {
  readonly atMs: number;
  readonly tone: "plain" | "good" | "warn" | "bad";
  /** Neuron or model that it is about. */
  readonly about: string;
  readonly text: string;
}

type Told = Omit<NewsItem, "atMs">;

/** What happened between two states of a fleet. */
export function fleetNews(before: FleetState, after: FleetState): readonly Told[] {
  return [
    ...neuronNews(before, after),
    ...loadNews(before, after),
    ...failureNews(before, after),
    ...healthNews(before, after),
  ];
}

function neuronNews(before: FleetState, after: FleetState): Told[] {
  if (before.neurons === after.neurons) return [];
  const old = new Map(before.neurons.map((neuron) => [neuron.name, neuron]));
  const names = new Set(after.neurons.map(({ name }) => name));
  const gone = before.neurons.filter(({ name }) => !names.has(name));
  return [
    ...gone.map(({ name }): Told => ({ tone: "plain", about: name, text: "declared no more" })),
    ...after.neurons.flatMap((neuron) => {
      const known = old.get(neuron.name);
      if (known === neuron) return [];
      if (known === undefined) return [{ tone: "plain" as const, about: neuron.name, text: "declared now" }];
      return [...standingNews(known, neuron), ...copyNews(known, neuron)];
    }),
  ];
}

/** Uptimes are told a little late at times; one that starts anew is far from where it was. */
const SLACK_SECS = 5;

function standingNews(before: FleetNeuronState, after: FleetNeuronState): Told[] {
  const about = after.name;
  const news: Told[] = [];
  if (before.health !== after.health) {
    if (after.health === "healthy") news.push({ tone: "good", about, text: "answers" });
    else news.push({ tone: "bad", about, text: `does not answer: ${after.problem ?? "no reason given"}` });
  }
  if (before.draining !== after.draining) {
    const text = after.draining ? "drains: takes no new work" : "takes work again";
    news.push({ tone: after.draining ? "warn" : "good", about, text });
  }
  const [upBefore, upAfter] = [before.uptime_secs ?? 0, after.uptime_secs ?? 0];
  if (after.uptime_secs !== null && upAfter + SLACK_SECS < upBefore)
    news.push({ tone: "warn", about, text: "restarted" });
  return news;
}

function copyNews(before: FleetNeuronState, after: FleetNeuronState): Told[] {
  // Of a neuron that does not answer nothing is known: neither that copies went nor that they came.
  if (after.health !== "healthy" || before.health !== "healthy") return [];
  const old = new Map(before.models.map((model) => [model.id, model]));
  const ids = new Set(after.models.map(({ id }) => id));
  return [
    ...before.models
      .filter(({ id }) => !ids.has(id))
      .map(({ id }): Told => ({ tone: "plain", about: id, text: `left ${after.name}` })),
    ...after.models.flatMap((model) => changeNews(old.get(model.id), model, after.name)),
  ];
}

// oxlint-disable-next-line max-params -- what was, what is, where
function changeNews(before: FleetModelState | undefined, after: FleetModelState, neuron: string): Told[] {
  return [
    ...(before?.status === after.status ? [] : [statusNews(after, neuron)]),
    ...servableNews(before, after, neuron),
    ...trustNews(before, after, neuron),
  ];
}

/** That its neuron drains is told of the neuron. */
const isStuck = ({ status, servable }: FleetModelState): boolean =>
  status === "loaded" && !servable.ok && servable.reason !== "draining";

// oxlint-disable-next-line max-params -- what was, what is, where
function servableNews(before: FleetModelState | undefined, after: FleetModelState, neuron: string): Told[] {
  if (!isStuck(after) || (before !== undefined && isStuck(before))) return [];
  const { detail, reason = "no reason given" } = after.servable;
  return [{ tone: "bad", about: after.id, text: `cannot serve on ${neuron}: ${detail ?? reason}` }];
}

// oxlint-disable-next-line max-params -- what was, what is, where
function trustNews(before: FleetModelState | undefined, after: FleetModelState, neuron: string): Told[] {
  const [was, is] = [before?.left_out === true, after.left_out === true];
  if (was === is) return [];
  return is
    ? [{ tone: "warn", about: after.id, text: `fails on ${neuron}, and is left out while others serve` }]
    : [{ tone: "good", about: after.id, text: `is trusted on ${neuron} again` }];
}

function statusNews({ id: about, status, origin }: FleetModelState, neuron: string): Told {
  const hand = origin?.kind === "manual" ? ", by hand" : "";
  switch (status) {
    case "loaded":
      return { tone: "good", about, text: `loaded on ${neuron}${hand}` };
    case "loading":
      return { tone: "plain", about, text: `loads on ${neuron}${hand}` };
    case "unloading":
      return { tone: "plain", about, text: `leaves ${neuron}` };
    case "unknown":
      return { tone: "warn", about, text: `in a state on ${neuron} that this version does not know` };
    default:
      return assertNever(status);
  }
}

const placeOf = ({ model, node }: { readonly model: string; readonly node: string }): string =>
  `${model}@${node}`;

function loadNews(before: FleetState, after: FleetState): Told[] {
  if (before.loads === after.loads) return [];
  const old = new Set(before.loads.map(placeOf));
  return after.loads
    .filter((load) => !old.has(placeOf(load)))
    .map(({ model, node, waiting, evict = [] }) => {
      const place = evict.length === 0 ? "" : `, in the place of ${evict.join(" and ")}`;
      return { tone: "plain", about: model, text: `asked for on ${node}${place}, ${waiting} waiting` };
    });
}

function failureNews({ failed_loads: old = [] }: FleetState, after: FleetState): Told[] {
  const { failed_loads: failed = [] } = after;
  if (old === failed) return [];
  const times = new Map(old.map((load) => [placeOf(load), load.times]));
  return failed
    .filter((load) => load.times > (times.get(placeOf(load)) ?? 0))
    .map(({ model, node, code, message }) => ({
      tone: "bad",
      about: model,
      text: `could not be loaded on ${node}: ${code}: ${message}`,
    }));
}

/** Both are plain data; a stream that begins anew tells the same again. */
const isOther = (one: unknown, other: unknown): boolean =>
  one !== other && JSON.stringify(one) !== JSON.stringify(other);

function healthNews(before: FleetState, after: FleetState): Told[] {
  const news: Told[] = [];
  if (isOther(before.declared, after.declared))
    news.push({ tone: "plain", about: "gateway", text: "other fleet files are in force" });
  const { status, reasons = [] } = after.health;
  if (before.health.status === status) return news;
  const why = reasons.length === 0 ? "" : `: ${reasons.join("; ")}`;
  const tone = status === "ok" ? "good" : status === "impaired" ? "warn" : "bad";
  return [...news, { tone, about: "gateway", text: `${status}${why}` }];
}
