import { h, type ComponentChild } from "preact";
import { formatDuration, formatMib } from "../../core/quantities.ts";
import type { FleetState } from "../../protocol/gateway-api.ts";
import { modelRows, type ModelCopy, type ModelRow, type ModelStanding } from "../model-rows.ts";
import { countText, percentText } from "../words.ts";

const STANDING_WORDS: Readonly<Record<ModelStanding, string>> = {
  ready: "ready",
  partly: "too few copies",
  loading: "loading",
  failed: "load failed",
  missing: "missing",
  idle: "on demand",
  broken: "cannot serve",
};

const NOTHING = "–";

const HEADS = ["Model", "State", "Where", "Slots in use", "Waiting", "Tokens/s", "Memory"];

export function ModelsView({ state }: { readonly state: FleetState }): ComponentChild {
  const rows = modelRows(state);
  return h(
    "section",
    { class: "card", "aria-labelledby": "models" },
    h("div", { class: "card-head" }, h("h2", { id: "models" }, "Models")),
    rows.length === 0
      ? h("p", { class: "empty" }, "The fleet files declare no model yet.")
      : h(
          "table",
          { class: "models", role: "table", "aria-labelledby": "models" },
          h(
            "thead",
            { role: "rowgroup" },
            h(
              "tr",
              { role: "row" },
              HEADS.map((head) => h("th", { scope: "col", role: "columnheader" }, head)),
            ),
          ),
          h(
            "tbody",
            { role: "rowgroup" },
            rows.map((row) => h(ModelLine, { key: row.id, row })),
          ),
        ),
  );
}

function ModelLine({ row }: { readonly row: ModelRow }): ComponentChild {
  const { copies } = row;
  const sum = (of: (copy: ModelCopy) => number) => copies.reduce((total, copy) => total + of(copy), 0);
  const slots = sum((copy) => copy.slots);
  const waiting = row.waiting + sum((copy) => copy.queued);
  const speeds = copies.flatMap((copy) => copy.tokensPerSec ?? []);
  const memory = sum((copy) => copy.memoryMib);
  return h(
    "tr",
    { role: "row" },
    h(
      "th",
      { scope: "row", role: "rowheader" },
      row.id,
      row.aliases.length === 0 ? null : h("span", { class: "note" }, `also ${row.aliases.join(", ")}`),
    ),
    cell(HEADS[1], standing(row)),
    cell(HEADS[2], copies.length === 0 ? NOTHING : h("ul", { class: "copies" }, copies.map(copyLine))),
    cell(HEADS[3], slots === 0 ? NOTHING : `${sum((copy) => copy.inFlight)} of ${slots}`),
    cell(HEADS[4], waiting === 0 ? NOTHING : String(waiting)),
    cell(HEADS[5], speeds.length === 0 ? NOTHING : countText(Math.max(...speeds))),
    cell(HEADS[6], memory === 0 ? NOTHING : formatMib(memory)),
  );
}

/** On a phone, where each value has a line of its own, there is none for what is not there. */
const cell = (label: string | undefined, content: ComponentChild): ComponentChild =>
  h(
    "td",
    { role: "cell", "data-label": label, class: content === NOTHING ? "nothing" : undefined },
    h("div", null, content),
  );

function standing({ standing: kind, load, failure, wanted, copies }: ModelRow): ComponentChild {
  const loaded = copies.filter(({ status }) => status === "loaded").length;
  const words = kind === "partly" ? `${loaded} of ${wanted ?? 0} copies` : STANDING_WORDS[kind];
  return h(
    "div",
    { class: "standing" },
    h("span", { class: `badge ${kind}` }, words),
    load === null ? null : loadLine(load),
    failure === null || load !== null ? null : h("p", { class: "problem" }, failure.message),
  );
}

function loadLine({
  state,
  progress,
  elapsed_ms: elapsedMs,
  node,
  evict = [],
}: FleetState["loads"][number]): ComponentChild {
  const instead = evict.length === 0 ? "" : `, in the place of ${evict.join(" and ")}`;
  const share = progress === null ? "" : ` ${percentText(progress)}`;
  const words = `${state}${share} on ${node}, for ${formatDuration(elapsedMs)}${instead}`;
  return h(
    "div",
    { class: "load" },
    h("progress", { value: progress ?? undefined, max: 1, "aria-label": words }),
    h("span", { class: "note" }, words),
  );
}

function copyLine({ neuron, devices, status, trouble }: ModelCopy): ComponentChild {
  const where = devices.length === 0 ? neuron : `${neuron} · ${devices.join("+")}`;
  return h(
    "li",
    { key: neuron },
    where,
    status === "loaded" ? null : h("span", { class: "note" }, ` ${status}`),
    trouble === null ? null : h("p", { class: "problem" }, trouble),
  );
}
