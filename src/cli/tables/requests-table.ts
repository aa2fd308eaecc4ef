import { assertNever } from "../../core/assert-never.ts";
import type {
  RequestExplanation,
  RequestList,
  RequestStepReport,
  RequestSummary,
} from "../../protocol/request-explanation.ts";
import { fitTable, type TableCell, type TableColumn } from "../print/fit-table.ts";
import type { Paint } from "../print/paint.ts";
import { latencyText } from "../print/short-words.ts";
import type { Look, View } from "../view/view.ts";

export const requestListView = (list: RequestList): View<RequestList> => ({
  json: list,
  human: (look) => printList(list, look),
});

export const explanationView = (explanation: RequestExplanation): View<RequestExplanation> => ({
  json: explanation,
  human: () => printExplanation(explanation),
});

const COLUMNS: readonly TableColumn[] = [
  { name: "STARTED", drop: 3 },
  { name: "REQUEST" },
  { name: "MODEL", least: 12 },
  { name: "NEURON", least: 6, drop: 2 },
  { name: "OUTCOME", least: 10 },
  { name: "FIRST", right: true, drop: 1 },
  { name: "TOOK", right: true },
];

function printList({ requests }: RequestList, look: Look): string {
  if (requests.length === 0) return "The gateway has routed no request since it started.";
  const rows = requests.map((request): TableCell[] => [
    { text: `${new Date(request.started_at_ms).toISOString().slice(0, 19)}Z` },
    { text: request.request_id },
    { text: request.model ?? "-" },
    { text: request.node ?? "-" },
    { text: outcomeOf(request), style: outcomeStyle(request) },
    { text: request.first_token_ms === null ? "-" : latencyText(request.first_token_ms) },
    { text: request.duration_ms === null ? "-" : latencyText(request.duration_ms) },
  ]);
  return fitTable(COLUMNS, rows, look);
}

function outcomeStyle({ status }: RequestSummary): Paint | undefined {
  if (status === null) return "cyan";
  if (status >= 500) return "red";
  return status >= 400 ? "yellow" : undefined;
}

function outcomeOf({ status, code }: RequestSummary): string {
  if (status === null) return "open";
  return code === null ? String(status) : `${status} ${code}`;
}

function printExplanation(request: RequestExplanation): string {
  const took = request.duration_ms === null ? "still open" : `took ${latencyText(request.duration_ms)}`;
  const facts = [
    `request ${request.request_id}`,
    `  ${request.route}${request.stream ? ", streamed" : ""}, for ${request.key}, at ${new Date(request.started_at_ms).toISOString()}`,
    `  model ${request.model ?? "unknown to this fleet"}, neuron ${request.node ?? "none"}`,
    `  outcome ${outcomeOf(request)}, ${took}${tail(request)}`,
  ];
  return [...facts, "", ...request.steps.flatMap(stepLines)].join("\n");
}

function tail({ first_token_ms: firstMs, retries, cold_start: isCold, tokens }: RequestExplanation): string {
  const parts = [
    ...(firstMs === null ? [] : [`first token after ${latencyText(firstMs)}`]),
    ...(isCold ? ["cold start"] : []),
    ...(retries === 0 ? [] : [`${retries} ${retries === 1 ? "retry" : "retries"}`]),
    ...(tokens === null
      ? []
      : [`${tokens.prompt} tokens in (${tokens.cached} cached), ${tokens.completion} out`]),
  ];
  return parts.map((part) => `, ${part}`).join("");
}

const under = (words: string): string => `${" ".repeat(11)}${words}`;

function stepLines(step: RequestStepReport): readonly string[] {
  const at = `+${latencyText(step.after_ms)}`.padStart(9);
  const line = (words: string) => `${at}  ${words}`;
  switch (step.kind) {
    case "routed":
      return [line(routedWords(step)), ...step.considered.map((one) => under(consideredWords(one)))];
    case "waited":
      return [line(waitedWords(step)), ...step.loads.map((load) => under(loadWords(load)))];
    case "sent": {
      const took =
        step.took_ms === null ? "answering still" : `${step.outcome} after ${latencyText(step.took_ms)}`;
      return [line(`sent to ${step.node}: ${took}${step.code === null ? "" : ` (${step.code})`}`)];
    }
    case "retried":
      return [line(`goes on after a failure: ${step.reason}`)];
    default:
      return assertNever(step);
  }
}

type StepOf<Kind extends RequestStepReport["kind"]> = Extract<RequestStepReport, { kind: Kind }>;

function routedWords({ decision, node, code }: StepOf<"routed">): string {
  if (decision === "serve") return `routed to ${node}`;
  if (decision === "refuse") return `refused: ${code}`;
  return node === null ? "to wait: no copy serves" : `to wait: ${node} has no room, or others wait for it`;
}

const consideredWords = ({ node, verdict, work }: StepOf<"routed">["considered"][number]): string =>
  `${node}: ${verdict}${work === undefined ? "" : `, work ${work}`}`;

function waitedWords({ position, waiting, took_ms: tookMs, outcome, node, code }: StepOf<"waited">): string {
  const place = position === null ? "" : `, at first place ${position} of ${waiting}`;
  if (tookMs === null) return `waits in the queue still${place}`;
  const end = node === null ? (code ?? outcome) : `granted on ${node}`;
  return `waited ${latencyText(tookMs)}${place}: ${end}`;
}

function loadWords(load: StepOf<"waited">["loads"][number]): string {
  const begun = load.joined ? "a load that somebody else began" : "a load";
  const swap = load.evict.length === 0 ? "" : ` in the place of ${load.evict.join(", ")}`;
  const when = load.after_ms < 0 ? ", under way already" : "";
  const end = load.took_ms === null ? "goes on" : `${load.outcome} after ${latencyText(load.took_ms)}`;
  return `${begun} on ${load.node}${swap}${when}: ${end}`;
}
