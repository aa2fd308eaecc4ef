import { isRecord } from "../../core/json.ts";
import type { ModelProbe } from "../../fleet/schema/probe-table.ts";

/** What a fresh copy is asked. */
export interface ProbeQuestion {
  readonly path: "/v1/chat/completions" | "/v1/embeddings";
  readonly body: Readonly<Record<string, unknown>>;
}

/** `capabilities`: of the copy, as its neuron tells them; one that only embeds is asked for a vector. */
export function probeQuestion(
  modelId: string,
  probe: ModelProbe,
  capabilities: readonly string[],
): ProbeQuestion {
  if (onlyEmbeds(capabilities))
    return { path: "/v1/embeddings", body: { model: modelId, input: probe.prompt } };
  const { prompt, max_tokens } = probe;
  const messages = [{ role: "user", content: prompt }];
  return {
    path: "/v1/chat/completions",
    body: { model: modelId, messages, max_tokens, temperature: 0, stream: false },
  };
}

const onlyEmbeds = (capabilities: readonly string[]): boolean =>
  capabilities.includes("embeddings") && !capabilities.includes("text");

/** What is wrong with an answer, in words; undefined when it is as declared. */
export function judgeProbe({ path }: ProbeQuestion, answer: unknown, probe: ModelProbe): string | undefined {
  return path === "/v1/embeddings" ? judgeVector(answer, probe) : judgeText(answer, probe);
}

function judgeVector(answer: unknown, { dimensions }: ModelProbe): string | undefined {
  const data = isRecord(answer) ? answer["data"] : undefined;
  const first: unknown = Array.isArray(data) ? data[0] : undefined;
  const vector = isRecord(first) ? first["embedding"] : undefined;
  if (!Array.isArray(vector) || vector.length === 0) return "it answers with no vector";
  if (!vector.every((value) => typeof value === "number" && Number.isFinite(value)))
    return "its vector has something in it that is no number";
  if (vector.every((value) => value === 0)) return "its vector is nothing but zeros";
  if (dimensions === undefined || vector.length === dimensions) return undefined;
  return `its vector has ${vector.length} numbers, and \`probe.dimensions\` declares ${dimensions}`;
}

/** The answer itself is not told: it goes into the history of the fleet, and what a model says is nobody's business there. */
function judgeText(answer: unknown, { expect }: ModelProbe): string | undefined {
  const choices = isRecord(answer) ? answer["choices"] : undefined;
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const message = isRecord(first) ? first["message"] : undefined;
  if (!isRecord(first) || !isRecord(message)) return "it answers with no message";
  const text = textOf(message["content"]);
  const thoughts = textOf(message["reasoning_content"]);
  if (text.trim() === "" && thoughts.trim() === "") return "its answer is empty";
  if (expect === undefined || text.toLowerCase().includes(expect.toLowerCase())) return undefined;
  const cut = first["finish_reason"] === "length" ? ", which ended at `probe.max_tokens`" : "";
  return `its answer of ${text.length} characters${cut} has no ${JSON.stringify(expect)} in it, as \`probe.expect\` declares`;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
