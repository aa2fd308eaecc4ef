import {
  gatewaySeries,
  neuronSeries,
  reconcileSeries,
  type ExportedSeries,
} from "../../scripts/exported-series.ts";

/** What an expression asks of one series: the labels that it filters by, and those that it groups by. */
export interface Asked {
  readonly name: string;
  readonly labels: readonly string[];
}

const words = (text: string): readonly string[] => text.split(",").map((word) => word.trim());

/** The series that a PromQL expression names, with the labels that it wants of each. */
export function askedIn(expression: string): readonly Asked[] {
  const asked: Asked[] = [];
  let grouped: readonly string[] = [];
  for (const [, by, name, filter = ""] of expression.matchAll(
    /\bby \(([^)]*)\)|\b((?:cortex|process)_\w+)(?:\{([^}]*)\})?/g,
  )) {
    if (by !== undefined) grouped = words(by);
    if (name === undefined) continue;
    const filtered = [...filter.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label);
    asked.push({ name, labels: [...new Set([...grouped, ...filtered])] });
  }
  return asked;
}

/** Added by Prometheus to whatever it scrapes. */
const SCRAPED = ["instance", "job"];

/** The labels of everything that can be asked for, by name. */
export function knownSeries(): ReadonlyMap<string, ReadonlySet<string>> {
  const all = [...gatewaySeries(), ...neuronSeries(), ...reconcileSeries()];
  return new Map(all.flatMap((series) => namesOf(series)));
}

function namesOf({
  name,
  type,
  labels,
}: ExportedSeries): readonly (readonly [string, ReadonlySet<string>])[] {
  const known = new Set([...labels, ...SCRAPED]);
  if (type !== "histogram") return [[name, known]];
  return [
    [`${name}_bucket`, new Set([...known, "le"])],
    [`${name}_sum`, known],
    [`${name}_count`, known],
  ];
}

/** What is asked for and is not there. */
export function missingIn(expression: string, known: ReturnType<typeof knownSeries>): readonly string[] {
  return askedIn(expression).flatMap(({ name, labels }) => {
    const has = known.get(name);
    if (has === undefined) return [`no series ${name}`];
    return labels.filter((label) => !has.has(label)).map((label) => `${name} has no label ${label}`);
  });
}
