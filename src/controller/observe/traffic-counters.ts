import type { ObservedTraffic } from "./observed-fleet.ts";

/** One line of a Prometheus exposition. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/**
 * How often each copy is asked, from the text that a gateway serves at /metrics: requests since the gateway's start,
 * spread over the time since then. Undefined when the text says neither, or when the gateway has only just started.
 */
export function trafficFromMetrics(text: string, nowMs: number): ObservedTraffic | undefined {
  const samples = text.split("\n").flatMap(parseLine);
  const startedSecs = samples.find(({ name }) => name === "process_start_time_seconds")?.value;
  if (startedSecs === undefined) return undefined;
  const windowSecs = Math.round(nowMs / 1000 - startedSecs);
  if (windowSecs < 1) return undefined;
  const counts = new Map<string, { neuron: string; modelId: string; requests: number }>();
  for (const { name, labels, value } of samples) {
    const { node = "", model = "" } = labels;
    if (name !== "cortex_requests_total" || node === "" || model === "") continue;
    const key = `${model}@${node}`;
    const requests = (counts.get(key)?.requests ?? 0) + value;
    counts.set(key, { neuron: node, modelId: model, requests });
  }
  const copies = [...counts.values()].map(({ neuron, modelId, requests }) => ({
    neuron,
    modelId,
    requestsPerMinute: Math.round((requests * 600) / windowSecs) / 10,
  }));
  return { windowSecs, copies };
}

function parseLine(line: string): Sample[] {
  const match = LINE.exec(line);
  if (match === null) return [];
  const [, name = "", labelText = "", number = ""] = match;
  const value = Number(number);
  if (!Number.isFinite(value)) return [];
  const labels: Record<string, string> = {};
  for (const [, label = "", raw = ""] of labelText.matchAll(LABEL)) labels[label] = unescapeLabel(raw);
  return [{ name, labels, value }];
}

const unescapeLabel = (raw: string): string =>
  raw.replaceAll(/\\(.)/g, (_whole, sign: string) => (sign === "n" ? "\n" : sign));
