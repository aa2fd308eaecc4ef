import { formatMib } from "../../core/quantities.ts";
import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";
import { isSettled } from "../../protocol/plan-settled.ts";
import {
  declarationRemark,
  declarationTitle,
  declaredFieldsText,
  declaredName,
  differencesText,
  WHO_ACTS,
} from "./declaration-words.ts";
import { startText } from "./print-plan-sections.ts";
import {
  comparisonLines,
  criticalPathText,
  downloadLines,
  downtimeSummary,
  downtimeText,
  durationText,
  FEW_CHANGES,
  gapText,
  guardLines,
  observationText,
  openParts,
  planSummary,
  requestsText,
  scheduleText,
  sizeText,
  survivalLines,
  trafficText,
  verdictText,
} from "./plan-words.ts";

/*
 * A plan as the comment of a pull request: a hidden first line by which the next run finds and replaces it, then the
 * verdict, the table of changes and what is wrong, then everything else folded. Code hosts refuse comments of about
 * 65,000 characters, so a budget is kept: the folded sections give way first, the largest of them first, then rows of the table from
 * its end. What gave way is said, and the end of the comment always arrives: it names the plan and how to get it whole.
 */
export const MARKDOWN_LIMIT = 60_000;

/** Finds the comment of a fleet again. */
export const markdownMarker = (fleet: string): string => `<!-- cortex-plan:${fleet} -->`;

export function printPlanMarkdown(plan: PlanDocument, limit = MARKDOWN_LIMIT): string {
  const folded = foldedSections(plan);
  const troubles = troubleSections(plan);
  const rows = plan.changes.map((change) => changeRow(change, plan));
  const head = [markdownMarker(plan.fleet), `### ${title(plan)}`, headLines(plan)].join("\n\n");
  const tail = footer(plan);
  const fits = (parts: CommentParts): boolean => join(parts).length <= limit;
  const parts: CommentParts = { head, rows, omittedRows: 0, troubles, folded, omitted: [], tail };
  if (fits(parts)) return join(parts);
  const unfolded = dropFolded(parts, fits);
  if (fits(unfolded)) return join(unfolded);
  return join(cutToFit(unfolded, fits, limit));
}

interface CommentParts {
  readonly head: string;
  readonly rows: readonly string[];
  readonly omittedRows: number;
  readonly troubles: readonly string[];
  readonly folded: readonly FoldedSection[];
  /** Titles of sections that were left out. */
  readonly omitted: readonly string[];
  readonly tail: string;
}

interface FoldedSection {
  readonly title: string;
  readonly body: string;
}

function join(parts: CommentParts): string {
  const blocks = [
    parts.head,
    table(parts),
    ...parts.troubles,
    ...parts.folded.map(
      ({ title: summary, body }) => `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`,
    ),
    omissionNote(parts),
    parts.tail,
  ];
  return `${blocks.filter((block) => block !== "").join("\n\n")}\n`;
}

function table({ rows, omittedRows }: CommentParts): string {
  if (rows.length === 0 && omittedRows === 0) return "";
  const header = "| | model | neuron | memory | takes | note |\n|---|---|---|---|---|---|";
  return [header, ...rows].join("\n");
}

function omissionNote({ omittedRows, omitted }: CommentParts): string {
  if (omittedRows === 0 && omitted.length === 0) return "";
  const rows = omittedRows === 0 ? [] : [`${omittedRows} more changes`];
  return `_Left out for length: ${[...rows, ...omitted].join("; ")}. The saved plan has everything._`;
}

/** The largest folded section first, until the rest fits or none is left. */
function dropFolded(parts: CommentParts, fits: (parts: CommentParts) => boolean): CommentParts {
  let current = parts;
  while (!fits(current) && current.folded.length > 0) {
    const largest = current.folded.reduce((left, right) =>
      right.body.length > left.body.length ? right : left,
    );
    current = {
      ...current,
      folded: current.folded.filter((section) => section !== largest),
      omitted: [...current.omitted, `section "${largest.title}"`],
    };
  }
  return current;
}

/** As many rows as fit beside what is wrong; if even that is too long, as much of it as fits. */
function cutToFit(parts: CommentParts, fits: (parts: CommentParts) => boolean, limit: number): CommentParts {
  const withRows = (count: number, base: CommentParts): CommentParts => ({
    ...base,
    rows: base.rows.slice(0, count),
    omittedRows: parts.rows.length - count,
  });
  const base = fits(withRows(0, parts))
    ? parts
    : { ...parts, troubles: [cutLines(parts.troubles.join("\n\n"), Math.floor(limit / 2))] };
  let low = 0;
  let high = parts.rows.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(withRows(middle, base))) low = middle;
    else high = middle - 1;
  }
  return withRows(low, base);
}

/** Whole lines only, and how many are missing. */
function cutLines(text: string, limit: number): string {
  const lines = text.split("\n");
  let length = 0;
  const kept = lines.filter((line) => (length += line.length + 1) <= limit);
  return `${kept.join("\n")}\n\n_${lines.length - kept.length} more lines are in the saved plan._`;
}

/**
 * Names come from files that anybody may propose: none may mention people, refer to issues, open a link or break the
 * table. Code hosts look for mentions and references after they have decoded entities, so those signs need a
 * zero-width space behind them; all others are harmless as entities.
 */
export const escapeMarkdown = (text: string): string =>
  text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[&<>|`@#[\]*~\\!$%^]|:(?=\/\/)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=www)\./gi, entity)
    .replaceAll(/(&#(?:64|35|33|126|37|36|38|94);)(?=[\w"])/g, "$1&#8203;");

const entity = (sign: string): string => `&#${sign.codePointAt(0) ?? 0};`;

function title(plan: PlanDocument): string {
  const count = plan.changes.length;
  const what = plan.errored
    ? ["must not be applied"]
    : [...countParts(count, plan), ...downParts(plan), ...openParts(plan)];
  return `Plan for ${escapeMarkdown(plan.fleet)}: ${what.join(", ")}`;
}

function countParts(count: number, plan: PlanDocument): string[] {
  const declared = plan.declaration.changes.length;
  const changes = `${count} change${count === 1 ? "" : "s"}`;
  if (declared === 0) return [count === 0 ? "no changes" : changes];
  const opened = plan.declaration.changes.filter(({ exposes }) => exposes).length;
  return [
    ...(count === 0 ? [] : [changes]),
    `${differencesText(declared)}${opened === 0 ? "" : ` (${opened} open more than before)`}`,
  ];
}

/** What a reviewer must not learn from the last line. */
function downParts({ changes }: PlanDocument): string[] {
  const count = (ends: boolean): number =>
    new Set(changes.flatMap(({ model_id, downtime }) => (downtime?.ends === ends ? [model_id] : []))).size;
  return [...modelsThat("left without a copy", count(false)), ...modelsThat("down on the way", count(true))];
}

const modelsThat = (what: string, count: number): string[] =>
  count === 0 ? [] : [`${count} model${count === 1 ? "" : "s"} ${what}`];

function headLines(plan: PlanDocument): string {
  const lines = [
    escapeMarkdown(verdictText(plan)),
    `**${planSummary(plan)}**`,
    ...[
      ...guardLines(plan),
      downtimeSummary(plan),
      scheduleText(plan),
      plan.changes.length === 0 && isSettled(plan) ? "" : gapText(plan),
      trafficText(plan),
    ].map(escapeMarkdown),
    escapeMarkdown(observationText(plan)),
    escapeMarkdown(declarationRemark(plan)),
  ];
  const branch = comparisonLines(plan);
  const rest = branch.length - MOST_BRANCH_LINES;
  const comparison = [
    ...branch.slice(0, MOST_BRANCH_LINES),
    ...(rest > 0 ? [`and ${rest} more, below`] : []),
  ].map(bullet);
  return [
    lines.filter((line) => line !== "").join("<br>\n"),
    ...(comparison.length === 0 ? [] : ["", ...comparison]),
  ].join("\n");
}

/** More of them are folded. */
const MOST_BRANCH_LINES = 12;

const SIGNS = { load: "+", unload: "−", replace: "±" } as const;

function changeRow(change: PlanChange, plan: PlanDocument): string {
  const down = downtimeText(change, plan);
  const notes = [
    change.detail,
    change.protected && change.action_reason !== "loaded_not_declared" ? "protect = true" : "",
    change.caused_by === "pending" ? "pending without this branch too" : "",
    requestsText(change),
    down,
  ].filter((note) => note !== "");
  const devices = change.devices.join(", ");
  const cells = [
    `${SIGNS[change.kind]} ${change.kind}`,
    escapeMarkdown(change.model_id),
    escapeMarkdown(devices === "" ? change.neuron : `${change.neuron} (${devices})`),
    escapeMarkdown(sizeText(change)),
    change.kind === "unload" ? "" : escapeMarkdown(durationText(change)),
    notes.map(escapeMarkdown).join("; "),
  ];
  return `| ${cells.join(" | ")} |`;
}

const bullet = (text: string): string => `- ${escapeMarkdown(text)}`;
const bullets = (lines: readonly string[]): string => lines.map(bullet).join("\n");

function section(heading: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : [`#### ${heading}`, "", ...lines].join("\n");
}

/** What a reviewer must not miss. */
function troubleSections(plan: PlanDocument): string[] {
  const unplaced = plan.unplaced.flatMap((copy) => [
    bullet(`${copy.model_id}: ${copy.missing_replicas} missing; ${copy.summary}`),
    ...copy.refusals.slice(0, 8).map((refusal) => `  ${bullet(`${refusal.neuron}: ${refusal.reason}`)}`),
    ...(copy.remedies.length > 0 ? copy.remedies.map(({ text }) => text) : [copy.hint])
      .filter((text) => text !== "")
      .map((text) => `  - **what would help:** ${escapeMarkdown(text)}`),
  ]);
  const silent = plan.neurons
    .filter((neuron) => !neuron.reachable)
    .map((neuron) => bullet(`${neuron.name}: ${neuron.problem ?? "no answer"}; left untouched`));
  const start = startText(plan.neurons.filter((neuron) => !neuron.reachable));
  if (start !== "") silent.push(`  - ${escapeMarkdown(start)}`);
  return [
    declarationSection(plan),
    section("Cannot be placed", unplaced),
    section(
      "Deferred",
      plan.deferred.map(({ id, reason }) => bullet(`${id}: ${reason}`)),
    ),
    section(
      "Not known",
      plan.unknown.map((copy) =>
        bullet(
          `${copy.model_id}: ${copy.replicas} may be on ${copy.neurons.join(" or ")}, which does not answer`,
        ),
      ),
    ),
    section("Neurons that do not answer", silent),
  ].filter((text) => text !== "");
}

const DECLARED_SIGNS = { added: "+", removed: "−", changed: "±", renamed: "±" } as const;

function declarationSection(plan: PlanDocument): string {
  const title = declarationTitle(plan);
  if (title === undefined) return "";
  const rows = plan.declaration.changes.flatMap((change) => {
    const fields = declaredFieldsText(change);
    const head = `${DECLARED_SIGNS[change.kind]} ${declaredName(change)}${fields === "" ? "" : `: ${fields}`}`;
    const warned = change.exposes ? "**opens more than before:** " : "";
    return [bullet(head), ...change.consequences.map((text) => `  - ${warned}${escapeMarkdown(text)}`)];
  });
  return section(escapeMarkdown(title), [...rows, "", `<sub>${escapeMarkdown(WHO_ACTS)}</sub>`]);
}

function foldedSections(plan: PlanDocument): FoldedSection[] {
  const reasons = plan.assignments
    .filter((assignment) => assignment.status !== "kept" && assignment.status !== "outdated")
    .map(({ model_id, neuron, reason }) => `${model_id} on ${neuron}: ${reason}`);
  const order = plan.changes.map(
    (change) =>
      `${plan.changes.length <= FEW_CHANGES ? "" : `wave ${change.wave}: `}${change.id}${change.depends_on.length === 0 ? "" : ` (after ${change.depends_on.join(", ")})`}`,
  );
  const branch = comparisonLines(plan);
  return [
    { title: "This branch", body: branch.length > MOST_BRANCH_LINES ? bullets(branch) : "" },
    { title: "Memory of the devices that change", body: memoryTable(plan) },
    { title: "Why each copy goes where it goes", body: bullets(reasons) },
    {
      title: "Order",
      body: bullets([...order, criticalPathText(plan)].filter((line) => line !== "")),
    },
    { title: "Downloads", body: bullets(downloadLines(plan)) },
    { title: "If one neuron dies", body: plan.changes.length === 0 ? "" : bullets(survivalLines(plan)) },
    {
      title: "Left alone",
      body: bullets(plan.left_alone.map((copy) => `${copy.model_id} on ${copy.neuron}: ${copy.reason}`)),
    },
  ].filter(({ body }) => body !== "");
}

function memoryTable(plan: PlanDocument): string {
  const rows = plan.neurons.flatMap((neuron) =>
    neuron.devices
      .filter(
        (device) =>
          device.vram_before_mb !== device.vram_after_mb || device.vram_peak_mb !== device.vram_after_mb,
      )
      .map((device) => {
        const amounts = [
          device.vram_before_mb,
          device.vram_peak_mb,
          device.vram_after_mb,
          device.vram_total_mb,
        ];
        const name = escapeMarkdown(`${neuron.name} ${device.index} (${device.name})`);
        return `| ${[name, ...amounts.map(formatMib)].join(" | ")} |`;
      }),
  );
  if (rows.length === 0) return "";
  return ["| device | before | peak | after | has |", "|---|---|---|---|---|", ...rows].join("\n");
}

function footer(plan: PlanDocument): string {
  const revision = plan.revision.commit?.slice(0, 12) ?? "not in git";
  return `<sub>plan ${plan.digest.slice(0, 12)} · revision ${revision}${plan.revision.dirty ? " (dirty)" : ""} · observation ${plan.observation.digest.slice(0, 12)} · \`cortex plan verify\` checks the saved plan</sub>`;
}
