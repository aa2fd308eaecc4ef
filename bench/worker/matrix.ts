import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineLine } from "../support/report.ts";
import { cellTable, verdicts, type ComparedCell, type MeasuredCell } from "./cells.ts";
import { RANDOM_MODELS, randomModelFile } from "./random-models.ts";

/*
 * `run.ts` over random models of about 4, 80 and 500 million parameters, F16 and Q8_0, and the model that is named, with
 * prompts of 32, 512 and 4,000 tokens (a word of the prompts is a token of the random models), against llama-server with the same
 * file and the same number of threads; `--chosen` adds cortex with as many as it chooses. Each cell is a run of its own, in
 * which all servers take turns. At the end a line for each bar. `--write` puts all of it behind what is in results.txt.
 *
 * How long it takes is told before it begins, from about 30 GFLOP/s a core; `--only` takes parts of names with commas between
 * them, of `random-80m-f16-short` and the like.
 */

const { values } = parseArgs({
  options: {
    directory: { type: "string", default: join(tmpdir(), "cortex-bench-models") },
    "llama-server": { type: "string" },
    model: { type: "string" },
    threads: { type: "string", default: String(Math.max(1, availableParallelism() - 1)) },
    chosen: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "32" },
    write: { type: "boolean", default: false },
  },
});

const RUN = fileURLToPath(new URL("run.ts", import.meta.url));
const RESULTS = fileURLToPath(new URL("results.txt", import.meta.url));
const SHAPES = [
  { shape: "short", words: 32, streams: [1, 4, 8, 16], context: 512 },
  { shape: "middle", words: 512, streams: [1, 8], context: 1024 },
  { shape: "long", words: 4000, streams: [1], context: 4608 },
];
/** Words of prose are up to 1.5 tokens of a real vocabulary. */
const PROSE_CONTEXT = 2;
const FLOP_PER_SECOND = 30e9;
const SETTLE_SECONDS = 12;

interface Model {
  readonly name: string;
  readonly parameters: number;
  readonly context: number;
  path(): Promise<string>;
}

const random = RANDOM_MODELS.map((model) => ({
  name: model.name,
  parameters: Number(/(\d+)m/.exec(model.name)?.[1]) * 1e6,
  context: 1,
  path: () => randomModelFile(values.directory, model),
}));
const named: readonly Model[] =
  values.model === undefined
    ? []
    : [
        {
          name: basename(values.model, ".gguf"),
          parameters: 250e6,
          context: PROSE_CONTEXT,
          path: () => Promise.resolve(values.model ?? ""),
        },
      ];
const wanted = values.only.split(",");
const runs = [...random, ...named]
  .flatMap((model) => SHAPES.map((shape) => ({ model, ...shape, name: `${model.name}-${shape.shape}` })))
  .filter(({ name }) => wanted.some((part) => name.includes(part)));

const servers = 1 + (values["llama-server"] === undefined ? 0 : 1) + (values.chosen ? 1 : 0);
const seconds = runs.reduce((sum, { model, words, streams }) => {
  const tokens = streams.reduce((all, count) => all + count * (words + 2 * Number(values.tokens)), 0);
  return (
    sum + SETTLE_SECONDS + (servers * Number(values.rounds) * tokens * 2 * model.parameters) / FLOP_PER_SECOND
  );
}, 0);
console.error(`${runs.length} runs, about ${Math.ceil(seconds / 60)} minutes`);

const lines: string[] = [];
const say = (...told: readonly string[]): void => {
  lines.push(...told);
  console.log(told.join("\n"));
};

const threads = `${values.threads} ${values.threads === "1" ? "thread" : "threads"}`;
const compared: ComparedCell[] = [];
say(
  "",
  `node bench/worker/matrix.ts, ${threads} on both sides, ${values.rounds} rounds, ${values.tokens} tokens an answer; ${machineLine()}`,
);
for (const { model, name, words, streams, context } of runs) {
  const asked = ["--words", String(words), "--streams", streams.join(","), "--threads", values.threads];
  const amount = ["--rounds", values.rounds, "--tokens", values.tokens];
  const size = ["--context", String(context * model.context), "--json"];
  const beside = values["llama-server"] === undefined ? [] : ["--llama-server", values["llama-server"]];
  const more = [...asked, ...amount, ...size, ...beside, ...(values.chosen ? ["--chosen"] : [])];
  const told = execFileSync(process.execPath, [RUN, "--model", await model.path(), ...more], {
    encoding: "utf8",
  });
  const cells = JSON.parse(told) as readonly MeasuredCell[];
  say(`${name}; ${machineLine()}`, ...cellTable(cells));
  for (const count of streams) {
    const of = (server: string): MeasuredCell | undefined =>
      cells.find((cell) => cell.streams === count && cell.server === `${server}, ${threads}`);
    const [cortex, llama] = [of("cortex"), of("llama-server")];
    if (cortex !== undefined && llama !== undefined)
      compared.push({ name: `${name} x${count}`, cortex, llama });
  }
}
say(...verdicts(compared));
if (values.write) appendFileSync(RESULTS, `${lines.join("\n")}\n`);
