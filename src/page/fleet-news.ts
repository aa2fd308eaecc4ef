import type { FleetState } from "../protocol/gateway-api.ts";
import { counted } from "./words.ts";

export type Tone = "good" | "bad" | "plain";

/** One line of the live events: what has changed between two states of the fleet. */
export interface News {
  readonly tone: Tone;
  /** What it is about: a neuron, or a model at a neuron. */
  readonly subject: string;
  readonly text: string;
}

/** What a person wants to hear of, in the order neurons, models, loads, files. Nothing of what only counts. */
export function fleetNews(before: FleetState, after: FleetState): readonly News[] {
  return [
    ...neuronNews(before, after),
    ...copyNews(before, after),
    ...loadNews(before, after),
    ...failureNews(before, after),
    ...declarationNews(before, after),
  ];
}

type Neuron = FleetState["neurons"][number];

function neuronNews(before: FleetState, after: FleetState): readonly News[] {
  const known = new Map(before.neurons.map((neuron) => [neuron.name, neuron]));
  const news = after.neurons.flatMap((neuron) => neuronChange(known.get(neuron.name), neuron));
  const left = before.neurons.filter(({ name }) => !after.neurons.some((neuron) => neuron.name === name));
  return [...news, ...left.map(({ name }) => line("plain", name, "is declared no more"))];
}

function neuronChange(old: Neuron | undefined, neuron: Neuron): readonly News[] {
  const { name } = neuron;
  if (old === undefined) return [line("plain", name, "is declared")];
  const news: News[] = [];
  if (old.health !== neuron.health) news.push(healthNews(neuron));
  if (old.draining !== neuron.draining)
    news.push(line("plain", name, neuron.draining ? "drains: it takes no new work" : "takes work again"));
  return news;
}

function healthNews({ name, health, problem }: Neuron): News {
  if (health === "healthy") return line("good", name, "answers");
  if (health === "unknown") return line("plain", name, "has not been heard of yet");
  return line("bad", name, `does not answer${problem === null ? "" : `: ${problem}`}`);
}

const copiesOf = (state: FleetState) =>
  new Map(
    state.neurons.flatMap(({ name, models }) =>
      models.map((model) => [`${model.id} on ${name}`, { ...model, neuron: name }] as const),
    ),
  );

function copyNews(before: FleetState, after: FleetState): readonly News[] {
  const [old, now] = [copiesOf(before), copiesOf(after)];
  const answers = new Set(after.neurons.flatMap(({ name, health }) => (health === "healthy" ? [name] : [])));
  const changed = [...now].flatMap(([subject, copy]) => {
    const was = old.get(subject);
    if (was?.status !== copy.status) return [statusNews(subject, copy.status)];
    return copy.status === "loaded" ? trustNews(subject, was, copy) : [];
  });
  const left = [...old].filter(([subject, { neuron }]) => !now.has(subject) && answers.has(neuron));
  return [...changed, ...left.map(([subject]) => line("plain", subject, "is unloaded"))];
}

type Copy = Neuron["models"][number];

/** Of a copy that is loaded before and after: whether it can serve, and whether it does. */
function trustNews(subject: string, was: Copy, is: Copy): readonly News[] {
  const news: News[] = [];
  const { ok, detail, reason } = is.servable;
  if (was.servable.ok !== ok) {
    const why = detail ?? reason ?? "it does not say why";
    news.push(ok ? line("good", subject, "can serve again") : line("bad", subject, `cannot serve: ${why}`));
  }
  if (was.left_out !== is.left_out) {
    news.push(
      is.left_out === true
        ? line("bad", subject, "fails of late and is left out")
        : line("good", subject, "is trusted again"),
    );
  }
  return news;
}

function statusNews(subject: string, status: Copy["status"]): News {
  if (status === "loaded") return line("good", subject, "is loaded");
  return line(
    "plain",
    subject,
    status === "unknown" ? "is in a state this page does not know" : `is ${status}`,
  );
}

const subjectOf = ({ model, node }: FleetState["loads"][number]): string => `${model} on ${node}`;

function loadNews(before: FleetState, after: FleetState): readonly News[] {
  const old = new Set(before.loads.map(subjectOf));
  return after.loads
    .filter((load) => !old.has(subjectOf(load)))
    .map((load) => {
      const { evict = [], waiting } = load;
      const instead = evict.length === 0 ? "" : `, in the place of ${evict.join(" and ")}`;
      const asked = waiting === 0 ? "" : `; ${counted(waiting, "request")} waiting`;
      return line("plain", subjectOf(load), `was asked for${instead}${asked}`);
    });
}

function failureNews(before: FleetState, after: FleetState): readonly News[] {
  const old = new Map(before.failed_loads?.map((load) => [`${load.model} on ${load.node}`, load.times]));
  return (after.failed_loads ?? [])
    .filter(({ model, node, times }) => times > (old.get(`${model} on ${node}`) ?? 0))
    .map(({ model, node, message }) => line("bad", `${model} on ${node}`, `could not be loaded: ${message}`));
}

function declarationNews(before: FleetState, after: FleetState): readonly News[] {
  if (JSON.stringify(before.declared) === JSON.stringify(after.declared)) return [];
  return [line("plain", after.fleet, "follows other fleet files now")];
}

const line = (tone: Tone, subject: string, text: string): News => ({ tone, subject, text });
