import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { present } from "../../src/core/present.ts";
import { formatBytes, formatDuration } from "../../src/core/quantities.ts";
import type { ChatCompletion } from "../../src/protocol/openai/chat.ts";
import type { WorkerStart } from "../../src/protocol/worker-messages.ts";
import { spawnWorker } from "../../test/support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../../test/support/neuron/tiny-model.ts";
import { workerHttp } from "../../test/support/neuron/worker-http.ts";

// How long a conversation waits for its next word after its model was unloaded and loaded again: computed anew, and taken
// up from a hibernated state. Without --model a random one of about 57 M parameters is made.

const { values } = parseArgs({
  options: { model: { type: "string" }, tokens: { type: "string", default: "2000" } },
});
const promptTokens = Number(values.tokens);
const modelPath =
  values.model ??
  (await tinyModelFile({
    layers: 8,
    embedding: 768,
    heads: 12,
    feedForward: 2048,
    weights: "f16",
    contextLength: 8192,
  }));

const directory = await mkdtemp(join(tmpdir(), "cortex-bench-hibernate-"));

interface Run {
  readonly answer: ChatCompletion;
  readonly stopMs: number;
}

async function inNewWorker(messages: readonly object[], hibernates: boolean): Promise<Run> {
  const hibernation: WorkerStart["hibernation"] = hibernates
    ? { directory, most_bytes: 1e11, least_recompute_ms: 0 }
    : undefined;
  const worker = await spawnWorker(modelPath, { hibernation, context: promptTokens + 512 });
  const http = workerHttp(worker.socketPath);
  const answer = await http.chat({ messages, max_tokens: 24, temperature: 0 });
  await http.close();
  const stoppedAtMs = performance.now();
  await worker.stop();
  return { answer, stopMs: performance.now() - stoppedAtMs };
}

const contentOf = ({ answer }: Run) => present(answer.choices[0], "a choice").message.content;
const row = (name: string, run: Run): string => {
  const { timings, usage } = run.answer;
  const ttft = formatDuration(present(timings, "timings").time_to_first_token_ms);
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  return `${name.padEnd(24)} ${ttft.padStart(10)} ${String(usage.prompt_tokens).padStart(8)} ${String(cached).padStart(8)}`;
};

try {
  const words = "the quick brown fox jumps over the lazy dog and goes home to sleep ";
  const opening = {
    role: "user",
    content: words.repeat(Math.ceil(promptTokens / words.length)).slice(0, promptTokens),
  };
  const begun = await inNewWorker([opening], true);
  const longer = [
    opening,
    { role: "assistant", content: contentOf(begun) },
    { role: "user", content: "and then?" },
  ];
  const names = await readdir(directory, { recursive: true });
  const sizes = await Promise.all(
    names.map((name) => stat(join(directory, name)).then((found) => found.size)),
  );
  const computed = await inNewWorker(longer, false);
  const woken = await inNewWorker(longer, true);
  const same = contentOf(computed) === contentOf(woken);
  process.stdout.write(
    [
      `${cpus()[0]?.model ?? "unknown CPU"} x ${cpus().length}, load ${loadavg()[0]?.toFixed(1) ?? "?"}`,
      `${"".padEnd(24)} ${"TTFT".padStart(10)} ${"prompt".padStart(8)} ${"cached".padStart(8)}`,
      row("computed anew", computed),
      row("hibernated", woken),
      `state: ${formatBytes(Math.max(...sizes))}; end of the worker with writing it: ${formatDuration(begun.stopMs)}, without: ${formatDuration(computed.stopMs)}`,
      `text at temperature 0: ${same ? "the same" : "NOT the same"}`,
      "",
    ].join("\n"),
  );
  process.exitCode = same ? 0 : 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
