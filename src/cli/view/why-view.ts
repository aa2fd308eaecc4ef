import { formatMib } from "../../core/quantities.ts";
import type { WhyReport } from "../../protocol/why-report.ts";
import { paint, type Paint } from "../print/paint.ts";
import { devicesText } from "../print/plan-words.ts";
import type { Look, View } from "./view.ts";

const VERDICTS: Readonly<Record<WhyReport["neurons"][number]["verdict"], { sign: string; style: Paint }>> = {
  holds: { sign: "+", style: "green" },
  could: { sign: "o", style: "cyan" },
  cannot: { sign: "-", style: "red" },
};

export const whyView = (report: WhyReport): View<WhyReport> => ({
  json: report,
  wraps: true,
  human: (look) => printWhy(report, look),
});

/** The answer first, then each copy with its reason, then every other neuron with what speaks against it. */
export function printWhy(report: WhyReport, { colour }: Look): string {
  const title = (text: string): string => paint(text, "bold", colour);
  const copies = report.copies.map(
    (copy) => `  ${copy.neuron}, ${devicesText(copy.devices)} (${copy.status}): ${copy.reason}`,
  );
  const others = report.others.map(({ neuron, detail }) => `  ${neuron}: loaded there too; ${detail}`);
  const neurons = report.neurons
    .filter(({ verdict }) => verdict !== "holds")
    .map(({ neuron, verdict, detail }) => {
      const { sign, style } = VERDICTS[verdict];
      return `  ${paint(sign, style, colour)} ${neuron}: ${detail}`;
    });
  const sections = [
    [`${title(report.model_id)}: ${report.summary}`, ...declaredLine(report)].join("\n"),
    section(title("Copies"), [...copies, ...others]),
    section(
      title("Changes that a plan would make"),
      report.changes.map(({ id, detail }) => `  ${id}: ${detail}`),
    ),
    section(title(report.neurons.length === 1 ? "That neuron" : "Other neurons"), neurons),
    section(title("What was asked of it"), checkLines(report, colour)),
    section(
      title("What would help, cheapest first"),
      report.remedies.map((text, index) => `  ${index + 1}. ${text}`),
    ),
  ];
  return sections.filter((text) => text !== "").join("\n\n");
}

/** Every question, whatever the others answered; of one neuron only, because of many nobody would read them. */
function checkLines({ neurons }: WhyReport, colour: boolean): string[] {
  const [only, ...others] = neurons;
  if (only === undefined || others.length > 0) return [];
  return only.checks.map(
    ({ check, ok, detail }) =>
      `  ${paint(ok ? "ok" : "no", ok ? "green" : "red", colour)} ${check}: ${detail}`,
  );
}

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? "" : [title, ...lines].join("\n");

function declaredLine({ declared }: WhyReport): string[] {
  if (declared === null) return [];
  const need =
    declared.need_mb === null
      ? "an unknown amount of memory"
      : `${formatMib(declared.need_mb)} (${declared.need_source})`;
  const on = declared.min_devices === 1 ? "one device" : `${declared.min_devices} devices`;
  const floor =
    declared.min_device_vram_mb === 0 ? "" : ` of ${formatMib(declared.min_device_vram_mb)} or more`;
  const pins = declared.pinned_on.length === 0 ? "" : `, pinned on ${declared.pinned_on.join(", ")}`;
  return [`  needs ${need} on ${on}${floor}${pins}; class ${declared.residency_priority}`];
}
