import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, streamText, type LanguageModel } from "ai";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { requestListSchema } from "../../src/protocol/request-explanation.ts";
import { startFleet } from "../support/fleet/running-fleet.ts";
import { pythonSdkChecks } from "./python-sdks.ts";

/*
 * The SDKs while a model loads, all at once, streamed and whole: with the time-outs that they come with, and none may ask
 * again. A real gateway and neuron; the neuron's devices are simulated, and its model is a script that takes its time to load.
 */

export const COLD_MODEL = "cold/model";
const MODEL = COLD_MODEL;
export const SAYS = "It was worth the wait.";
const SCRIPT = fileURLToPath(new URL("sdk_cold.py", import.meta.url));

export interface ColdCheck {
  readonly client: string;
  readonly package: string;
  readonly version: string;
  readonly dialect: "openai" | "anthropic" | "responses" | "ollama";
  readonly passed: boolean;
  readonly seen: string;
  readonly seconds: number;
}

interface Case {
  readonly client: string;
  readonly package: string;
  readonly dialect: ColdCheck["dialect"];
  readonly ask: (gatewayUrl: string) => readonly [whole: Promise<string>, streamed: Promise<string>];
}

const QUESTION = [{ role: "user" as const, content: "Are you there?" }];

const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === "text" ? block.text : "")).join("");

async function joined<Part>(parts: AsyncIterable<Part>, textOf: (part: Part) => string): Promise<string> {
  let text = "";
  for await (const part of parts) text += textOf(part);
  return text;
}

const openai = (gatewayUrl: string) =>
  new OpenAI({ baseURL: `${gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });

const byAiSdk = (model: LanguageModel) =>
  [
    generateText({ model, messages: QUESTION, maxRetries: 0 }).then(({ text }) => text),
    joined(streamText({ model, messages: QUESTION, maxRetries: 0 }).textStream, (part) => part),
  ] as const;

const CASES: readonly Case[] = [
  {
    client: "openai (npm)",
    package: "openai",
    dialect: "openai",
    ask: (gatewayUrl) => {
      const { completions } = openai(gatewayUrl).chat;
      const asked = { model: MODEL, messages: QUESTION };
      return [
        completions.create(asked).then(({ choices }) => choices[0]?.message.content ?? ""),
        completions
          .create({ ...asked, stream: true })
          .then((stream) => joined(stream, ({ choices }) => choices[0]?.delta.content ?? "")),
      ];
    },
  },
  {
    client: "openai (npm)",
    package: "openai",
    dialect: "responses",
    ask: (gatewayUrl) => {
      const { responses } = openai(gatewayUrl);
      const asked = { model: MODEL, input: "Are you there?" };
      return [
        responses.create(asked).then(({ output_text: text }) => text),
        responses
          .stream(asked)
          .finalResponse()
          .then(({ output }) =>
            output
              .flatMap((item) => (item.type === "message" ? item.content : []))
              .map((part) => (part.type === "output_text" ? part.text : ""))
              .join(""),
          ),
      ];
    },
  },
  {
    client: "anthropic (npm)",
    package: "@anthropic-ai/sdk",
    dialect: "anthropic",
    ask: (gatewayUrl) => {
      const client = new Anthropic({ baseURL: gatewayUrl, apiKey: "none", maxRetries: 0 });
      const asked = { model: MODEL, max_tokens: 64, messages: QUESTION };
      return [
        client.messages.create(asked).then(textOf),
        client.messages.stream(asked).finalMessage().then(textOf),
      ];
    },
  },
  {
    client: "ollama (npm)",
    package: "ollama",
    dialect: "ollama",
    ask: (gatewayUrl) => {
      const client = new Ollama({ host: gatewayUrl });
      const asked = { model: MODEL, messages: QUESTION };
      return [
        client.chat(asked).then(({ message }) => message.content),
        client
          .chat({ ...asked, stream: true })
          .then((stream) => joined(stream, ({ message }) => message.content)),
      ];
    },
  },
  {
    client: "ai, openai-compatible (npm)",
    package: "@ai-sdk/openai-compatible",
    dialect: "openai",
    ask: (gatewayUrl) =>
      byAiSdk(createOpenAICompatible({ name: "cortex", baseURL: `${gatewayUrl}/v1`, apiKey: "none" })(MODEL)),
  },
  {
    client: "ai, anthropic (npm)",
    package: "@ai-sdk/anthropic",
    dialect: "anthropic",
    ask: (gatewayUrl) => byAiSdk(createAnthropic({ baseURL: `${gatewayUrl}/v1`, apiKey: "none" })(MODEL)),
  },
];

function versionOf(name: string): string {
  const path = fileURLToPath(new URL(`../../node_modules/${name}/package.json`, import.meta.url));
  return (JSON.parse(readFileSync(path, "utf8")) as { readonly version: string }).version;
}

/** `interpreter` is a Python that has the SDKs. */
export async function runColdSdks(loadSecs: number, interpreter: string): Promise<readonly ColdCheck[]> {
  await using fleet = await coldFleet(loadSecs);
  const { gatewayUrl } = fleet;
  const python = await startPython(interpreter, gatewayUrl);
  const startedMs = performance.now();
  const secondsSoFar = () => Math.round((performance.now() - startedMs) / 100) / 10;
  const inPython = python.ask();
  const checks = await Promise.all(
    CASES.map(async ({ client, package: name, dialect, ask }): Promise<ColdCheck> => {
      const answers = await Promise.allSettled(ask(gatewayUrl));
      return {
        client,
        package: name,
        version: versionOf(name),
        dialect,
        ...judged(
          answers.map((answer) => (answer.status === "fulfilled" ? answer.value : String(answer.reason))),
        ),
        seconds: secondsSoFar(),
      };
    }),
  );
  const fromPython = pythonSdkChecks(await inPython).map(({ name, version, dialect, answers, seconds }) => ({
    client: `${name} (Python)`,
    package: name,
    version,
    dialect,
    ...judged(answers),
    seconds,
  }));
  const all = [...checks, ...fromPython];
  const asked = await requestsAt(gatewayUrl);
  if (asked === 2 * all.length) return all;
  return all.map((one) => ({
    ...one,
    passed: false,
    seen: `${asked} requests instead of ${2 * all.length}`,
  }));
}

/** A whole answer, then a streamed one. */
function judged(answers: readonly string[]): Pick<ColdCheck, "passed" | "seen"> {
  const passed = answers.length === 2 && answers.every((text) => text.trim() === SAYS);
  return { passed, seen: passed ? "whole and streamed, each asked once" : answers.join("; ") };
}

/** Resolves when its SDKs are there; it asks when it is told to, and says what it got. */
async function startPython(interpreter: string, gatewayUrl: string) {
  const child = spawn(interpreter, [SCRIPT, gatewayUrl, MODEL], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: first } = await lines.next();
  if (first !== "ready") throw new Error(`the Python SDKs did not start: ${String(first)}`);
  return {
    ask: async (): Promise<readonly string[]> => {
      child.stdin.end("go\n");
      const said: string[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next())
        said.push(next.value);
      return said;
    },
  };
}

/** A gateway and a neuron whose model takes so long to load, and says one sentence. */
export async function coldFleet(loadSecs: number) {
  const directory = await mkdtemp(join(tmpdir(), "cortex-cold-"));
  const script = join(directory, "faults.toml");
  await writeFile(script, `[[models]]\nload_secs = ${loadSecs}\n\n[[models.answers]]\ntext = "${SAYS}"\n`);
  return await startFleet({
    neuronNames: ["local"],
    // Nothing is read of it.
    modelPath: script,
    models: `[[models]]\nid = "${MODEL}"\nsource = "hf:cold/model"\nvram_mb = 1000\nparallel = 32\ncontext = 8192\n`,
    neuronFlags: ["--simulate", "1x24GiB RTX 4090", "--script", script],
  });
}

async function requestsAt(gatewayUrl: string): Promise<number> {
  const answer = await fetch(`${gatewayUrl}/fleet/requests?limit=200`);
  return requestListSchema.parse(await answer.json()).requests.length;
}
