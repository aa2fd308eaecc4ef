// Evaluates the exported GGUF through the real engine: node-llama-cpp on the CPU, the GGUF's own chat
// template and tokenizer, greedy decoding.
//
//   node evaluate.mjs MODEL.gguf HELDOUT.json REFERENCE.json FIGURES.json
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { getLlama } from "node-llama-cpp";

import { judge, tally } from "./judge.mjs";

const require = createRequire(import.meta.resolve("node-llama-cpp"));
const { Template } = await import(require.resolve("@huggingface/jinja"));

const MAX_TOKENS = 160;
const [modelPath, heldoutPath, referencePath, figuresPath] = process.argv.slice(2);
const readJson = async (path) => JSON.parse(await readFile(path, "utf8"));
const heldout = await readJson(heldoutPath);
const reference = await readJson(referencePath);

const llama = await getLlama({ gpu: false, logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const template = new Template(model.fileInfo.metadata.tokenizer.chat_template);
// One thread: on a machine of two cores a second one waits for node's own (see the engine notes).
const context = await model.createContext({ contextSize: 1024, threads: 1 });
const sequence = context.getSequence();

/** Greedy continuation of a prompt, without the end token. */
async function generate(tokens, limit) {
  await sequence.adaptStateToTokens(tokens.slice(0, -1));
  const rest = tokens.slice(sequence.nextTokenIndex);
  const made = [];
  for await (const token of sequence.evaluate(rest, { temperature: 0 })) {
    if (model.isEogToken(token)) break;
    made.push(token);
    if (made.length >= limit) break;
  }
  return made;
}

/** What a server would stream: special tokens are not text. */
const textOf = (tokens) => model.detokenize(tokens, false);

async function runItems() {
  const results = [];
  let templateDifferences = 0;
  for (const item of heldout.items) {
    const prompt = template.render({
      messages: item.messages,
      tools: item.tools.length > 0 ? item.tools : undefined,
      add_generation_prompt: true,
    });
    if (prompt !== item.prompt) templateDifferences += 1;
    const said = textOf(await generate(model.tokenize(prompt, true), MAX_TOKENS));
    results.push({ ...item, said, ...judge(item, said) });
  }
  return { results, templateDifferences };
}

async function compareContinuations() {
  let same = 0;
  for (const { prompt, ids } of reference.continuations) {
    const made = await generate(model.tokenize(prompt, true), 48);
    if (JSON.stringify(made) === JSON.stringify(ids)) same += 1;
  }
  return { prompts: reference.continuations.length, identical: same };
}

function compareTokens() {
  const different = reference.strings.filter(
    ({ text, ids }) => JSON.stringify([...model.tokenize(text, true)]) !== JSON.stringify(ids),
  );
  return {
    strings: reference.strings.length,
    identical: reference.strings.length - different.length,
    different,
  };
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const unit = (v) => v.map((value) => value / Math.sqrt(dot(v, v)));

/** Paraphrases against strangers, with the vectors that the engine gives. */
async function runPairs() {
  const embedding = await model.createEmbeddingContext({ contextSize: 512, threads: 1 });
  const vectorOf = async (text) => unit([...(await embedding.getEmbeddingFor(text)).vector]);
  const found = { pairs: 0, nearest: 0, triplets: 0, tripletsRight: 0, paraphrase: 0, stranger: 0 };
  for (const round of heldout.pairs) {
    const first = [];
    const second = [];
    for (const pair of round) {
      first.push(await vectorOf(pair.first));
      second.push(await vectorOf(pair.second));
    }
    first.forEach((vector, i) => {
      const scores = second.map((other) => dot(vector, other));
      const nearest = scores.indexOf(Math.max(...scores));
      found.pairs += 1;
      found.nearest += nearest === i ? 1 : 0;
      found.paraphrase += scores[i];
      scores.forEach((score, j) => {
        if (j === i) return;
        found.triplets += 1;
        found.tripletsRight += scores[i] > score ? 1 : 0;
        found.stranger += score;
      });
    });
  }
  let parity = 1;
  for (const { text, vector } of reference.vectors)
    parity = Math.min(parity, dot(await vectorOf(text), unit(vector)));
  await embedding.dispose();
  return {
    pairs: found.pairs,
    paraphraseIsNearestOf60: found.nearest / found.pairs,
    paraphraseNearerThanStranger: found.tripletsRight / found.triplets,
    meanCosineParaphrase: found.paraphrase / found.pairs,
    meanCosineStranger: found.stranger / found.triplets,
    lowestCosineToPython: parity,
  };
}

const { results, templateDifferences } = await runItems();
const { different, ...tokens } = compareTokens();
const figures = {
  ...tally(results),
  embeddings: await runPairs(),
  parity: {
    tokens,
    continuations: await compareContinuations(),
    template: { prompts: results.length, different: templateDifferences },
  },
  heldOut: { seed: heldout.seed, samples: heldout.drawn, droppedAsSeen: heldout.dropped_as_seen },
};
await writeFile(figuresPath, `${JSON.stringify(figures, null, 2)}\n`);
const wrong = results
  .filter((r) => !r.right)
  .map((r) => ({ topic: r.topic, part: r.part, prompt: r.prompt, wanted: r.body, said: r.said }));
await writeFile(
  figuresPath.replace(/\.json$/, "-wrong.json"),
  `${JSON.stringify({ wrong, different }, null, 1)}\n`,
);
console.log(JSON.stringify(figures, null, 1));
await context.dispose();
await llama.dispose();
