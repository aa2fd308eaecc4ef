import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { freePort, runCortex } from "../support/cortex-process.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { coldFleet, COLD_MODEL, SAYS } from "./sdk-cold.ts";

const run = promisify(execFile);

/** Open WebUI is a server with a page: what the page asks of it is asked here, and it asks the gateway. */
export const OPEN_WEBUI = { name: "open-webui", version: "0.12.4" } as const;

const reportSchema = z.object({
  install: z.array(z.object({ metadata: z.object({ name: z.string(), version: z.string() }) })),
});

/** Gigabytes that only its own models need. */
const LEFT_OUT = /^(?:nvidia|cuda|triton|torch)/i;

/** Installs it without torch; returns the path of its program. */
export async function installOpenWebUi(into: string): Promise<string> {
  const directory = join(into, OPEN_WEBUI.name);
  const mark = join(directory, `installed-${OPEN_WEBUI.version}`);
  const binary = join(directory, "bin/open-webui");
  if (existsSync(mark)) return binary;
  await mkdir(directory, { recursive: true });
  await run("python3", ["-m", "venv", directory]);
  const pip = join(directory, "bin/pip");
  const report = join(directory, "report.json");
  const wanted = `${OPEN_WEBUI.name}==${OPEN_WEBUI.version}`;
  await run(pip, ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", report, wanted]);
  const { install } = reportSchema.parse(JSON.parse(await readFile(report, "utf8")));
  const kept = install.map(({ metadata }) => metadata).filter(({ name }) => !LEFT_OUT.test(name));
  const list = join(directory, "requirements.txt");
  await writeFile(list, kept.map(({ name, version }) => `${name}==${version}\n`).join(""));
  await run(pip, ["install", "--quiet", "--no-deps", "--requirement", list]);
  await writeFile(mark, "");
  return binary;
}

export interface OpenWebUiCheck {
  readonly dialect: "openai" | "ollama";
  readonly passed: boolean;
  readonly seen: string;
  readonly seconds: number;
}

/** It lists the model, and has it answer while it loads and after that, by one kind of connection. */
export async function runOpenWebUi(
  binary: string,
  dialect: OpenWebUiCheck["dialect"],
  loadSecs: number,
): Promise<OpenWebUiCheck> {
  await using fleet = await coldFleet(loadSecs);
  await using server = await startOpenWebUi(binary, await settingsOf(dialect, fleet.gatewayUrl));
  const startedMs = performance.now();
  const seen: string[] = [];
  const models = await server.get("/api/models");
  const isListed = JSON.stringify(models).includes(`"${COLD_MODEL}`);
  seen.push(isListed ? "lists the model" : "does not list the model");
  const model = modelIdIn(models);
  const streamed = await server.chat(model, true);
  const whole = await server.chat(model, false);
  for (const [how, text] of [
    ["streamed while it loads", streamed],
    ["whole", whole],
  ] as const) {
    seen.push(text.trim() === SAYS ? how : `${how}: ${text.slice(0, 200)}`);
  }
  const passed = isListed && streamed.trim() === SAYS && whole.trim() === SAYS;
  return {
    dialect,
    passed,
    seen: seen.join("; "),
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
  };
}

const modelListSchema = z.object({ data: z.array(z.looseObject({ id: z.string() })) });

/** It may put a tag behind the name. */
function modelIdIn(models: unknown): string {
  const { data } = modelListSchema.parse(models);
  return data.find(({ id }) => id.startsWith(COLD_MODEL))?.id ?? COLD_MODEL;
}

/** As `cortex connect` prints them; for its Ollama connection the variable that it has for that. */
async function settingsOf(
  dialect: OpenWebUiCheck["dialect"],
  gatewayUrl: string,
): Promise<Readonly<Record<string, string>>> {
  if (dialect === "ollama") {
    return { ENABLE_OPENAI_API: "False", ENABLE_OLLAMA_API: "True", OLLAMA_BASE_URLS: gatewayUrl };
  }
  const line = ["connect", "open-webui", "--gateway", gatewayUrl, "--model", COLD_MODEL];
  const { code, stdout, stderr } = await runCortex(line);
  if (code !== 0) throw new Error(`cortex connect failed: ${stderr}`);
  const settings: Record<string, string> = { ENABLE_OLLAMA_API: "False" };
  for (const [, name = "", value = ""] of stdout.matchAll(/export (\w+)='?([^'\n]*)'?/g))
    settings[name] = value;
  return settings;
}

interface OpenWebUi extends AsyncDisposable {
  get(path: string): Promise<unknown>;
  chat(model: string, stream: boolean): Promise<string>;
}

const START_SECS = 240;

async function startOpenWebUi(
  binary: string,
  settings: Readonly<Record<string, string>>,
): Promise<OpenWebUi> {
  const stack = new AsyncDisposableStack();
  const data = stack.use(await temporaryDirectory());
  const port = await freePort();
  const child = spawn(binary, ["serve", "--host", "127.0.0.1", "--port", String(port)], {
    cwd: data.path,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: data.path,
      DATA_DIR: data.path,
      WEBUI_AUTH: "False",
      WEBUI_SECRET_KEY: "of this trial",
      // What it would fetch from elsewhere.
      RAG_EMBEDDING_ENGINE: "openai",
      HF_HUB_OFFLINE: "1",
      OFFLINE_MODE: "True",
      ...settings,
    },
  });
  stack.defer(() => ended(child));
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  child.stderr.on("data", (text) => (output += String(text)));
  const url = `http://127.0.0.1:${port}`;
  await untilHealthy(url, () => output.slice(-2000));
  const post = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const signed = await post("/api/v1/auths/signin", { email: "", password: "" });
  const { token } = z.looseObject({ token: z.string() }).parse(await signed.json());
  const authorization = { authorization: `Bearer ${token}` };
  return {
    get: async (path) => await (await fetch(url + path, { headers: authorization })).json(),
    chat: async (model, stream) => {
      const messages = [{ role: "user", content: "Are you there?" }];
      const answer = await post("/api/chat/completions", { model, messages, stream }, authorization);
      return answerIn(await answer.text());
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function untilHealthy(url: string, said: () => string): Promise<void> {
  const dueMs = performance.now() + START_SECS * 1000;
  while (performance.now() < dueMs) {
    const status = await fetch(`${url}/health`).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`Open WebUI did not start: ${said()}`);
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

const pieceSchema = z.looseObject({
  choices: z.array(
    z.looseObject({
      delta: z.looseObject({ content: z.string().nullish() }).nullish(),
      message: z.looseObject({ content: z.string().nullish() }).nullish(),
    }),
  ),
});

/** The text of an answer in OpenAI's form, streamed or whole; what is neither as it is. */
function answerIn(body: string): string {
  const texts = body
    .split("\n")
    .map((line) => line.replace(/^data: /, "").trim())
    .filter((line) => line.startsWith("{"))
    .map((line) => pieceSchema.safeParse(JSON.parse(line)));
  if (texts.length === 0 || !texts.every(({ success }) => success)) return body;
  return texts
    .flatMap(({ data }) => data?.choices ?? [])
    .map(({ delta, message }) => delta?.content ?? message?.content ?? "")
    .join("");
}
