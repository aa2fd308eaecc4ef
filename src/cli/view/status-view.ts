import { formatDuration, formatMib } from "../../core/quantities.ts";
import type { GatewayWorker } from "../../protocol/gateway-api.ts";
import type { StatusModel, StatusNeuron, StatusReport } from "../../protocol/status-report.ts";
import { paint } from "../print/paint.ts";
import { STATE_LOOKS } from "../print/state-looks.ts";
import type { Look, View } from "./view.ts";

export const statusView = (report: StatusReport): View<StatusReport> => ({
  json: report,
  wraps: true,
  human: (look) => printStatus(report, look),
});

/** Gateway, neurons with devices and models, and the models with what is declared of them. */
export function printStatus(report: StatusReport, options: Look): string {
  const bad = report.models.some(({ state }) => state === "missing");
  const next = bad
    ? [`${paint("Next:", "bold", options.colour)} cortex plan shows what would be loaded`]
    : [];
  return [
    `fleet ${paint(report.fleet, "bold", options.colour)}`,
    [
      gatewayLine(report.gateway, options),
      ...workerLines(report.gateway, options),
      ...workLines(report.gateway, options),
      ...loopLines(report.loops, options),
    ].join("\n"),
    ...report.neurons.map((neuron) => neuronLines(neuron, options)),
    modelLines(report.models, options),
    ...next,
  ].join("\n\n");
}

function gatewayLine({ url, status, problem, workers }: StatusReport["gateway"], { colour }: Look): string {
  const style = status === "ok" ? "green" : status === null ? "red" : "yellow";
  const words = status ?? `unreachable (${problem ?? "no answer"})`;
  return `gateway  ${url}  ${paint(words, style, colour)}${workers === undefined ? "" : `  ${countText(workers)}`}`;
}

function countText(workers: readonly GatewayWorker[]): string {
  const serving = workers.filter(({ state }) => state === "serving").length;
  return serving === workers.length ? `${serving} workers` : `${serving} of ${workers.length} workers serve`;
}

/** The processes of a gateway that has several. */
function workerLines({ workers = [], work }: StatusReport["gateway"], { colour }: Look): string[] {
  const width = String(workers.length).length;
  return workers.map(({ worker, state, pid, up_since_ms: sinceMs, restarts, requests_in_flight: open }) => {
    const upMs = sinceMs === null || work === null ? null : Math.max(0, work.now_ms - sinceMs);
    const facts = [
      ...(state === "serving" ? [] : [paint(state, "yellow", colour)]),
      ...(pid === null ? [] : [`pid ${pid}`]),
      ...(upMs === null ? [] : [`up ${formatDuration(upMs)}`]),
      `${open} in flight`,
      ...(restarts === 0 ? [] : [paint(`restarted ${times(restarts)}`, "yellow", colour)]),
    ];
    return `  worker ${String(worker).padStart(width)}  ${facts.join(", ")}`;
  });
}

const times = (count: number): string => (count === 1 ? "once" : `${count} times`);

/** What is on its way, who waits for it, and what did not come about. */
function workLines(
  { reasons, work, work_problem: problem }: StatusReport["gateway"],
  { colour }: Look,
): string[] {
  const amiss = reasons.map((reason) => `  ${paint(reason, "yellow", colour)}`);
  if (work === null) return problem === null ? amiss : [...amiss, `  ${paint(problem, "dim", colour)}`];
  const loads = work.loads.map(({ model, node, state, progress, waiting, evict = [] }) => {
    const how = progress === null ? state : `${state} ${Math.round(progress * 100)} %`;
    const place = evict.length === 0 ? "" : `, in the place of ${evict.join(" and ")}`;
    return `  ${paint("loading", "yellow", colour)}  ${model} on ${node}  ${how}, ${waiting} waiting${place}`;
  });
  const loading = new Set(work.loads.map(({ model }) => model));
  const queues = (work.queues ?? [])
    .filter(({ model }) => !loading.has(model))
    .map(
      ({ model, waiting, longest_wait_ms: longestMs }) =>
        `  ${paint("waiting", "yellow", colour)}  ${model}  ${waiting} waiting, the first for ${secs(longestMs)} s`,
    );
  const failed = (work.failed_loads ?? []).map(
    ({ model, node, times: tries, code, message, retry_at_ms: retryAtMs }) => {
      const leftMs = retryAtMs - work.now_ms;
      const next = leftMs > 0 ? `; not tried again for ${secs(leftMs)} s` : "";
      return `  ${paint("failed", "red", colour)}   ${model} on ${node}  ${times(tries)}${next}\n    ${code}: ${message}`;
    },
  );
  return [...amiss, ...loads, ...queues, ...failed];
}

/** Only where the fleet does not follow its branch now, or where nobody can tell. */
function loopLines({ hold, problem }: StatusReport["loops"], { colour }: Look): string[] {
  if (hold !== null) return [`loops    ${paint(hold, "yellow", colour)}`];
  return problem === null
    ? []
    : [`loops    ${paint(`whether they are held back: ${problem}`, "dim", colour)}`];
}

const secs = (durationMs: number): number => Math.ceil(durationMs / 1000);

function neuronLines(neuron: StatusNeuron, { colour }: Look): string {
  const words = neuron.reachable ? (neuron.status ?? "ok") : `unreachable (${neuron.problem ?? "no answer"})`;
  const style = !neuron.reachable ? "red" : neuron.status === "ok" ? "green" : "yellow";
  const head = `neuron   ${paint(neuron.name, "bold", colour)}  ${neuron.endpoint}  ${paint(words, style, colour)}`;
  const note = neuron.reachable && neuron.problem !== null ? [`  no CUDA: ${neuron.problem}`] : [];
  const devices = neuron.devices.map((device) => {
    const used = device.vram_used_mb === null ? "?" : formatMib(device.vram_used_mb);
    return `  ${device.kind}:${device.index}  ${device.name}  ${used} of ${formatMib(device.vram_total_mb)} used`;
  });
  const models = neuron.models.map((model) => {
    const trouble =
      model.unservable === null ? "" : paint(`  cannot serve: ${model.unservable}`, "red", colour);
    const queue = model.queue_depth === 0 ? "" : `, ${model.queue_depth} queued`;
    return `    ${model.id}  ${model.status}  ${formatMib(model.vram_used_mb)}  ${model.in_flight} in flight${queue}${whoseText(model)}${trouble}`;
  });
  return [head, ...note, ...devices, ...models].join("\n");
}

/** Only what is not as usual: of another fleet, or from files that nobody committed. */
function whoseText({ foreign, fleet, uncommitted }: StatusNeuron["models"][number]): string {
  const owner = foreign ? `  of fleet ${fleet ?? "unknown"}` : "";
  return `${owner}${uncommitted ? "  uncommitted" : ""}`;
}

function modelLines(models: readonly StatusModel[], { colour }: Look): string {
  const width = Math.max(5, ...models.map(({ id }) => id.length));
  const rows = models.map(({ id, declared, loaded_on, state }) => {
    const { words, style } = STATE_LOOKS[state];
    const wanted = declared === null ? "-" : String(declared);
    return `${id.padEnd(width)}  ${paint(words.padEnd(12), style, colour)}  ${`${loaded_on.length}/${wanted}`.padEnd(6)}  ${loaded_on.join(", ")}`;
  });
  return [`${"MODEL".padEnd(width)}  ${"STATE".padEnd(12)}  LOADED  ON`, ...rows]
    .map((row) => row.trimEnd())
    .join("\n");
}
