import { h, type ComponentChild } from "preact";
import { formatMib } from "../../core/quantities.ts";
import type { FleetNeuronState, FleetState } from "../../protocol/gateway-api.ts";
import { memoryBars, type DeviceBar, type Holder, type MemoryPart } from "../memory-bars.ts";
import { counted, percentText } from "../words.ts";
import { FleetFigures } from "./figures-view.ts";
import type { FleetSight } from "./fleet-feed.ts";
import { ModelsView } from "./models-view.ts";
import { NewsView } from "./news-view.ts";

/** The fleet as it is now: nothing here changes it. */
export function FleetView({ sight }: { readonly sight: FleetSight }): ComponentChild {
  const { state, standing } = sight;
  if (standing.kind === "refused") {
    return h(
      "section",
      { class: "card notice" },
      h("h2", null, "This key may use models, not look at the fleet"),
      h("p", null, standing.problem, "."),
      h("p", null, h("a", { href: "#chat" }, "Chat with a model"), ", or give a key with the admin role."),
    );
  }
  if (state === null) return h("p", { class: "empty" }, "Waiting for the gateway…");
  return h(
    "div",
    { class: standing.kind === "live" ? "fleet" : "fleet stale" },
    h(FleetFigures, { sight }),
    h("div", { class: "wide" }, h(NeuronsView, { state }), h(ModelsView, { state })),
    h(NewsView, { news: sight.news }),
  );
}

const HOLDER_WORDS: Readonly<Record<Holder, string>> = {
  resident: "resident",
  "on-demand": "on demand",
  moving: "loading or leaving",
  foreign: "not cortex",
  free: "free",
};

function NeuronsView({ state }: { readonly state: FleetState }): ComponentChild {
  const legend = (Object.keys(HOLDER_WORDS) as Holder[]).map((holder) =>
    h("li", null, h("span", { class: `swatch ${holder}`, "aria-hidden": "true" }), HOLDER_WORDS[holder]),
  );
  return h(
    "section",
    { class: "card", "aria-labelledby": "neurons" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "neurons" }, "Neurons"),
      h("ul", { class: "legend", "aria-label": "Colours of the memory bars" }, legend),
    ),
    h(
      "ul",
      { class: "neurons" },
      state.neurons.map((neuron) => h(NeuronCard, { key: neuron.name, neuron, state })),
    ),
  );
}

interface NeuronProps {
  readonly neuron: FleetNeuronState;
  readonly state: FleetState;
}

function NeuronCard({ neuron, state }: NeuronProps): ComponentChild {
  const bars = memoryBars(neuron, state);
  const words = {
    healthy: neuron.draining ? "drains" : "healthy",
    unhealthy: "does not answer",
    unknown: "not heard of yet",
  }[neuron.health];
  return h(
    "li",
    { class: `neuron ${neuron.health}` },
    h(
      "div",
      { class: "neuron-head" },
      h("h3", null, neuron.name),
      h("span", { class: `badge ${neuron.draining ? "draining" : neuron.health}` }, words),
      h("span", { class: "note" }, counted(neuron.models.length, "model")),
    ),
    neuron.problem === null ? null : h("p", { class: "problem" }, neuron.problem),
    bars.length === 0 ? h("p", { class: "note" }, "Its devices are not known yet.") : null,
    bars.map((bar) => h(DeviceView, { key: bar.index, bar })),
  );
}

function DeviceView({ bar }: { readonly bar: DeviceBar }): ComponentChild {
  const { usedMib, totalMib, utilizationPct, tempC } = bar;
  const readings = [
    ...(utilizationPct === null ? [] : [percentText(utilizationPct / 100)]),
    ...(tempC === null ? [] : [`${Math.round(tempC)} °C`]),
  ].join(" · ");
  const memory = `${usedMib === null ? "?" : formatMib(usedMib)} of ${formatMib(totalMib)}`;
  const label = `${bar.name}: ${memory} in use. ${bar.parts.map(partText).join(", ")}`;
  return h(
    "div",
    { class: "device" },
    h(
      "div",
      { class: "device-head" },
      h("span", { class: "device-name" }, `${bar.index} · ${bar.name}`),
      h("span", { class: "note" }, readings === "" ? memory : `${memory} · ${readings}`),
    ),
    h("div", { class: "bar", role: "img", "aria-label": label }, bar.parts.map(segment)),
  );
}

const partText = ({ holder, model, mib }: MemoryPart): string =>
  `${model === "" ? "" : `${model} `}${HOLDER_WORDS[holder]} ${formatMib(mib)}`;

/** A part is wide enough for its name or has none; the whole is said by the bar's label and, on a pointer, by its title. */
function segment(part: MemoryPart): ComponentChild {
  const { holder, model, share } = part;
  const name: ComponentChild = model !== "" && share > 0.1 ? h("span", null, shortName(model)) : null;
  return h(
    "div",
    { key: `${holder} ${model}`, class: `part ${holder}`, style: { flexGrow: share }, title: partText(part) },
    name,
  );
}

const shortName = (model: string): string => model.slice(model.lastIndexOf("/") + 1);
