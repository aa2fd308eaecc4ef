import { h, type ComponentChild } from "preact";
import { formatDuration } from "../../core/quantities.ts";
import { sparkPoints } from "../sparkline.ts";
import { counted, countText } from "../words.ts";
import { TRAFFIC_SHOWN_MS, type FleetSight } from "./fleet-feed.ts";

/** Health, and the four numbers that tell whether to look closer. */
export function FleetFigures({ sight }: { readonly sight: FleetSight }): ComponentChild {
  const { state, requestsPerSec } = sight;
  if (state === null) return null;
  const { health, traffic } = state;
  const { nodes, models } = health;
  const words = { ok: "All is well", impaired: "Impaired", degraded: "Degraded" }[health.status];
  const waiting = (state.queues ?? []).reduce((sum, queue) => sum + queue.waiting, 0);
  return h(
    "section",
    { class: "figures", "aria-label": "The fleet at a glance" },
    h(
      "div",
      { class: `figure health ${health.status}` },
      h("span", { class: "label" }, "Health"),
      h("strong", null, words),
      h("span", { class: "note" }, health.reasons?.join("; ") ?? unwell(health)),
    ),
    figure("Neurons", `${nodes.healthy} of ${nodes.total}`, "answer"),
    figure("Models", `${models.loaded} of ${models.declared}`, "loaded"),
    figure(
      "In flight",
      String(traffic?.requests_in_flight ?? health.requests_in_flight),
      waiting === 0 ? "none waiting" : `${waiting} waiting`,
    ),
    speedFigures(traffic, requestsPerSec),
  );
}

/** What a gateway of an older version does not say is shown as nothing. */
function speedFigures(
  traffic: NonNullable<FleetSight["state"]>["traffic"],
  readings: FleetSight["requestsPerSec"],
): ComponentChild {
  const {
    requests_per_sec: requests = 0,
    tokens_per_sec: tokens = 0,
    first_token_ms: firstMs,
  } = traffic ?? {};
  return [
    figure("Tokens a second", countText(tokens), firstTokenNote(firstMs)),
    h(
      "div",
      { key: "traffic", class: "figure traffic" },
      h("span", { class: "label" }, "Requests a second"),
      h("strong", null, countText(requests)),
      spark(readings),
    ),
  ];
}

const firstTokenNote = (times: { readonly p50: number; readonly p95: number } | null | undefined): string =>
  times == null
    ? "no answer lately"
    : `first after ${formatDuration(times.p50)}, p95 ${formatDuration(times.p95)}`;

function unwell({ nodes, unservable }: NonNullable<FleetSight["state"]>["health"]): string {
  const silent = nodes.total - nodes.healthy;
  const parts = [
    ...(silent === 0 ? [] : [`${counted(silent, "neuron")} silent`]),
    ...(unservable.length === 0 ? [] : [`${counted(unservable.length, "copy", "copies")} cannot serve`]),
  ];
  return parts.join(", ");
}

const figure = (label: string, value: string, note: string): ComponentChild =>
  h(
    "div",
    { class: "figure" },
    h("span", { class: "label" }, label),
    h("strong", null, value),
    h("span", { class: "note" }, note),
  );

function spark(readings: FleetSight["requestsPerSec"]): ComponentChild {
  const toMs = Date.now();
  const area = { width: 160, height: 26, fromMs: toMs - TRAFFIC_SHOWN_MS, toMs };
  const points = sparkPoints(readings, area);
  return h(
    "svg",
    { class: "spark", viewBox: "0 -2 160 30", preserveAspectRatio: "none", "aria-hidden": "true" },
    points === "" ? null : h("polyline", { points }),
  );
}
