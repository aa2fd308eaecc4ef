import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import { parseArgs } from "node:util";
import { median } from "../support/report.ts";

/*
 * The bare binding: milliseconds of a step with a piece of a prompt, of one with the next tokens of seven answers of 500 tokens, and of one
 * with both, by where in its prompt the piece stands. What the last takes beyond the other two is what the piece's size costs.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    pieces: { type: "string", default: "64,65" },
    rounds: { type: "string", default: "5" },
  },
});

const ANSWERS = 7;
const ANSWER_TOKENS = 500;
const PROMPT_TOKENS = 512;

/** The binding's own object below its context. */
interface NativeContext {
  initBatch(tokens: number): void;
  addToBatch(sequence: number, from: number, tokens: Uint32Array, logits: Uint32Array): unknown;
  decodeBatch(): Promise<void>;
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): unknown;
}

const llama = await getLlama({
  build: "never",
  skipDownload: true,
  gpu: false,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath: values.model ?? "" });
const context = await model.createContext({
  sequences: ANSWERS + 1,
  contextSize: 1024,
  threads: 1,
  batchSize: 512,
});
// oxlint-disable-next-line no-underscore-dangle -- the binding's own name
const native = (context as unknown as { readonly _ctx: NativeContext })._ctx;
const sequences = Array.from({ length: ANSWERS + 1 }, () => context.getSequence());
const held = sequences.map(() => 0);

/** Ids that are text in every vocabulary. */
const tokensAt = (from: number, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, at) => 300 + (((from + at) * 7919) % 4000));

async function step(items: readonly (readonly [sequence: number, tokens: number])[]): Promise<number> {
  native.initBatch(items.reduce((sum, [, tokens]) => sum + tokens, 0));
  for (const [sequence, tokens] of items) {
    const from = held[sequence] ?? 0;
    native.addToBatch(sequence, from, tokensAt(from, tokens), Uint32Array.of(tokens - 1));
    held[sequence] = from + tokens;
  }
  const startedMs = performance.now();
  await native.decodeBatch();
  return performance.now() - startedMs;
}

/** Back to so many tokens. */
function cut(sequence: number, tokens: number): void {
  native.removeTokenCellsFromSequence(sequence, tokens, held[sequence] ?? 0);
  held[sequence] = tokens;
}

const answers = Array.from({ length: ANSWERS }, (_, sequence) => [sequence, 1] as const);
for (const [sequence] of answers) await step([[sequence, ANSWER_TOKENS]]);
for (const piece of values.pieces.split(",").map(Number)) {
  for (let at = 0; at + piece <= PROMPT_TOKENS; at += piece) {
    const alone: number[] = [];
    const others: number[] = [];
    const mixed: number[] = [];
    for (let round = 0; round < Number(values.rounds); round += 1) {
      alone.push(await step([[ANSWERS, piece]]));
      cut(ANSWERS, at);
      others.push(await step(answers));
      mixed.push(await step([...answers, [ANSWERS, piece]]));
      cut(ANSWERS, at);
      for (const [sequence] of answers) cut(sequence, ANSWER_TOKENS);
    }
    const [pieceMs, answersMs, bothMs] = [median(alone), median(others), median(mixed)];
    const figures = [pieceMs, answersMs, bothMs, bothMs - pieceMs - answersMs].map((ms) => ms.toFixed(0));
    console.log(`${piece} tokens at ${at}: piece, answers, both, beyond: ${figures.join(" ")} ms`);
    await step([[ANSWERS, piece]]);
  }
  cut(ANSWERS, 0);
}
await llama.dispose();
