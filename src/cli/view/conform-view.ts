import { formatDuration } from "../../core/quantities.ts";
import { paint } from "../print/paint.ts";
import type { Look, View } from "./view.ts";

interface Step {
  readonly name: string;
  readonly outcome: "kept" | "broken" | "not-done";
  readonly detail: string;
  readonly durationMs: number;
  readonly breaches: readonly { readonly rule: string; readonly detail: string }[];
}

interface Rule {
  readonly rule: string;
  readonly outcome: "kept" | "broken" | "not-seen";
  readonly text: string;
  readonly breaches: readonly { readonly step: string; readonly detail: string }[];
}

interface Report {
  readonly dialect: string;
  readonly url: string;
  readonly model: string;
  readonly conforms: boolean;
  readonly steps: readonly Step[];
  readonly rules: readonly Rule[];
  readonly coldLoad: {
    readonly arrivals: readonly { readonly atMs: number; readonly text: string }[];
  } | null;
}

const STYLES = { kept: "green", broken: "red", "not-done": "yellow" } as const;

/** One line as soon as a step is done, and what it found below it. */
export function conformStepText(
  { name, outcome, detail, durationMs, breaches }: Step,
  { colour }: Look,
): string {
  const mark = paint(outcome.padEnd(8), STYLES[outcome], colour);
  const line = `${mark} ${name.padEnd(22)} ${formatDuration(durationMs).padStart(8)}  ${detail}`;
  return [line, ...breaches.map((found) => `           ${found.rule}: ${found.detail}`)].join("\n");
}

/** What is left to say when all steps have been shown; in short what was not looked for is not missed. */
export const conformView = (
  report: Report,
  { short = false }: { readonly short?: boolean } = {},
): View<unknown> => ({
  json: report,
  human: ({ colour }) => (short ? verdictLine(report, colour) : summary(report, colour)),
});

function verdictLine({ conforms, url, dialect, model }: Report, colour: boolean): string {
  const verdict = conforms ? paint("works", "green", colour) : paint("does not work", "red", colour);
  return `${url} ${verdict} for clients that speak ${dialect}, with ${model}`;
}

function summary({ dialect, url, model, conforms, rules, coldLoad }: Report, colour: boolean): string {
  const of = (outcome: Rule["outcome"]) => rules.filter((one) => one.outcome === outcome);
  const broken = of("broken");
  const unseen = of("not-seen");
  const verdict = conforms ? paint("conforms", "green", colour) : paint("does not conform", "red", colour);
  return [
    "",
    ...(coldLoad === null
      ? []
      : [
          "What came during the load:",
          ...coldLoad.arrivals.map(({ atMs, text }) => `  ${formatDuration(atMs).padStart(8)}  ${text}`),
          "",
        ]),
    ...broken.map(({ rule, text }) => `${paint("broken", "red", colour)} ${rule}: ${text}`),
    ...(unseen.length === 0 ? [] : [`not seen: ${unseen.map(({ rule }) => rule).join(", ")}`]),
    `${url} ${verdict} (${dialect}, ${model}): ${of("kept").length} rules kept, ${broken.length} broken, ${unseen.length} not seen`,
  ].join("\n");
}
