import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineLine } from "../support/report.ts";
import { RANDOM_MODELS, randomModelFile } from "./random-models.ts";

/*
 * `run.ts` over random models of about 4, 80 and 500 million parameters, F16 and Q8_0, with prompts of 32, 512 and 4,000
 * tokens (a word of the prompts is a token of these models). Each cell is a run of its own, in which all servers take
 * turns. Long prompts of the largest model take minutes on a CPU: `--only` takes parts of names.
 */

const { values } = parseArgs({
  options: {
    directory: { type: "string", default: join(tmpdir(), "cortex-bench-models") },
    "llama-server": { type: "string" },
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "24" },
  },
});

const RUN = fileURLToPath(new URL("run.ts", import.meta.url));
const CELLS = [
  { name: "short", words: "32", streams: "1,4,8,16", context: "512" },
  { name: "middle", words: "512", streams: "1,8", context: "1024" },
  { name: "long", words: "4000", streams: "1", context: "4608" },
];

console.log(machineLine());
for (const model of RANDOM_MODELS) {
  for (const { name, words, streams, context } of CELLS) {
    if (!`${model.name}-${name}`.includes(values.only)) continue;
    const path = await randomModelFile(values.directory, model);
    const asked = ["--words", words, "--streams", streams, "--context", context];
    const amount = ["--rounds", values.rounds, "--tokens", values.tokens];
    const beside = values["llama-server"] === undefined ? [] : ["--llama-server", values["llama-server"]];
    console.log(
      execFileSync(process.execPath, [RUN, "--model", path, ...asked, ...amount, ...beside], {
        encoding: "utf8",
      }),
    );
  }
}
