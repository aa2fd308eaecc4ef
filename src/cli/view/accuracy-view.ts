import type { ErrorFigures, PredictionAccuracy } from "../../protocol/refs/prediction-accuracy.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

/** What a prediction came from, as the plan calls it, in words. */
const SOURCES: Readonly<Record<string, string>> = {
  all: "all steps",
  measured: "the same step before",
  scaled: "the same model, by size",
  neuron_rate: "other loads of the neuron",
  default_rate: "a usual disk",
};

/** How well the plans of a fleet foretold what its applies then measured. */
export function accuracyView(accuracy: PredictionAccuracy, fleet: string): View<PredictionAccuracy> {
  return { json: accuracy, human: () => accuracyText(accuracy, fleet) };
}

function accuracyText(accuracy: PredictionAccuracy, fleet: string): string {
  const rows = [
    ...accuracy.seconds.map(({ source, ...figures }) =>
      figuresRow("seconds", SOURCES[source] ?? source, figures),
    ),
    ...figuresRows("seconds", "whole applies", accuracy.whole),
    ...figuresRows("memory", "models loaded", accuracy.memory),
    ...figuresRows("bytes fetched", "files", accuracy.download),
  ];
  const of = `${accuracy.applies} ${accuracy.applies === 1 ? "apply" : "applies"} of ${fleet}`;
  if (rows.length === 0) return `Nothing that was foretold was measured yet, in ${of}.`;
  const head = ["FORETOLD", "FROM", "HOW OFTEN", "MEASURED / FORETOLD", "OFF BY", "9 OF 10 WITHIN"];
  return [
    tableText(head, rows),
    "",
    `From ${of}. Middle values; steps below a second count as a second.`,
  ].join("\n");
}

// oxlint-disable-next-line max-params -- the columns
const figuresRows = (what: string, of: string, figures: ErrorFigures | null): string[][] =>
  figures === null ? [] : [figuresRow(what, of, figures)];

// oxlint-disable-next-line max-params -- the columns
const figuresRow = (what: string, of: string, figures: ErrorFigures): string[] => [
  what,
  of,
  String(figures.count),
  figures.median_ratio.toFixed(2),
  percent(figures.median_error),
  percent(figures.p90_error),
];

const percent = (part: number): string => `${Math.round(part * 100)} %`;
