import { isRecord, parseJson } from "../../src/core/json.ts";

/** What a scripted model was asked, and said. */
export interface ScriptedTurn {
  readonly kind: "title" | "first-call" | "second-call" | "text";
  readonly tool: string | null;
  readonly streamed: boolean;
}

export interface ScriptedAnswer {
  readonly turn: ScriptedTurn;
  readonly chunks: readonly string[];
  readonly whole: unknown;
}

export interface SessionScript {
  /** Where the agent works. */
  readonly directory: string;
  /** For agents that change files by what the model writes, not by tools. */
  readonly writes?: { readonly file: string; readonly text: string };
}

type Fields = Readonly<Record<string, unknown>>;
interface Call {
  readonly name: string;
  readonly input: Fields;
}

/** Tools of agents that read a file, and what they want to be told. */
const readers = (path: string): Readonly<Record<string, Fields>> => ({
  Read: { file_path: path, filepath: path },
  read: { filePath: path, path },
  read_file: { file_path: path, absolute_path: path, path },
  read_files: { files: [{ path }] },
  exec_command: { cmd: `cat '${path}'` },
  shell: { command: ["cat", path] },
  llm_version: {},
});

/** Tools of agents that run a command. */
const runners = (command: string): Readonly<Record<string, Fields>> => ({
  Bash: { command, description: "list" },
  bash: { command, description: "list" },
  run_shell_command: { command, is_background: false, description: "list" },
  run_commands: { commands: [command] },
  execute_command: { command, requires_approval: false },
  exec_command: { cmd: command },
  shell: { command: ["sh", "-c", command] },
  llm_time: {},
});

const namesOf = (request: Fields): readonly string[] =>
  (Array.isArray(request["tools"]) ? request["tools"] : []).flatMap((tool: unknown) =>
    isRecord(tool) && isRecord(tool["function"]) ? [String(tool["function"]["name"])] : [],
  );

/** Some agents refuse a call with more than they asked for. */
function inputFor(request: Fields, name: string, input: Fields): Fields {
  const tools = Array.isArray(request["tools"]) ? (request["tools"] as readonly unknown[]) : [];
  const offered = tools.flatMap((tool) =>
    isRecord(tool) && isRecord(tool["function"]) ? [tool["function"]] : [],
  );
  const parameters = offered.find((tool) => tool["name"] === name)?.["parameters"];
  const properties = isRecord(parameters) ? parameters["properties"] : undefined;
  if (!isRecord(properties)) return input;
  return Object.fromEntries(Object.entries(input).filter(([key]) => Object.hasOwn(properties, key)));
}

function pick(request: Fields, known: Readonly<Record<string, Fields>>): Call | null {
  const names = namesOf(request);
  const name = Object.keys(known).find((one) => names.includes(one));
  return name === undefined ? null : { name, input: inputFor(request, name, known[name] ?? {}) };
}

const messagesOf = (request: Fields): readonly Fields[] =>
  (Array.isArray(request["messages"]) ? request["messages"] : []).filter(isRecord);

/** What agents look for in the file; only its text says which word it is. */
const MAGIC = /magic word is (\w+)|version[^\d]{0,20}(\d+\.\d+\S*)|^(\d+\.\d+(?:\.\d+)?)$/m;

function wordIn(messages: readonly Fields[]): string {
  const results = messages.filter(({ role }) => role === "tool");
  for (const { content } of results) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    const [, word, version, bare] = MAGIC.exec(text) ?? [];
    const found = word ?? version ?? bare;
    if (found !== undefined) return found;
  }
  return "nowhere to be found";
}

/** Answers of one session: a call that reads, a call that lists, and a sentence with the word that was read. */
export class ScriptedModel {
  readonly turns: ScriptedTurn[] = [];
  readonly #script: SessionScript;
  #answers = 0;

  constructor(script: SessionScript) {
    this.#script = script;
  }

  answer(body: string): ScriptedAnswer {
    const request = parseJson(body);
    if (!isRecord(request)) throw new Error("a scripted model was asked something that is no JSON");
    this.#answers += 1;
    const { turn, say } = this.#next(request);
    const told = { ...turn, streamed: request["stream"] === true };
    this.turns.push(told);
    const model = String(request["model"]);
    return { turn: told, ...spoken(say, { model, number: this.#answers }) };
  }

  #next(request: Fields): { readonly turn: Omit<ScriptedTurn, "streamed">; readonly say: Say } {
    const messages = messagesOf(request);
    const { writes, directory } = this.#script;
    if (writes !== undefined) {
      const text = `${writes.file}\n\`\`\`\n${writes.text}\n\`\`\`\n`;
      return { turn: { kind: "text", tool: null }, say: { text, call: null } };
    }
    const results = messages.filter(({ role }) => role === "tool").length;
    const path = `${directory}/hello.txt`;
    const known = results === 0 ? readers(path) : runners(`ls '${directory}'`);
    const call = results < 2 ? pick(request, known) : null;
    if (call !== null) {
      const kind = results === 0 ? "first-call" : "second-call";
      return { turn: { kind, tool: call.name }, say: { text: "", call } };
    }
    // Agents ask for titles and summaries on the side, without tools.
    if (results === 0)
      return { turn: { kind: "title", tool: null }, say: { text: "A magic word", call: null } };
    return {
      turn: { kind: "text", tool: null },
      say: { text: `The word is ${wordIn(messages)}.`, call: null },
    };
  }
}

interface Say {
  readonly text: string;
  readonly call: Call | null;
}

function spoken({ text, call }: Say, { model, number }: { readonly model: string; readonly number: number }) {
  const head = { id: `chatcmpl-${number}`, created: 1_760_000_000, model };
  const chunk = (delta: unknown, finish: string | null = null) =>
    `data: ${JSON.stringify({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: finish }],
    })}\n\n`;
  const json = JSON.stringify(call?.input ?? {});
  const id = `call_${number}_${Math.random().toString(36).slice(2, 10)}`;
  const half = Math.floor(json.length / 2);
  const pieces =
    call === null
      ? text.split(/(?<= )/).map((content) => chunk({ content }))
      : [
          chunk({
            tool_calls: [{ index: 0, id, type: "function", function: { name: call.name, arguments: "" } }],
          }),
          chunk({ tool_calls: [{ index: 0, function: { arguments: json.slice(0, half) } }] }),
          chunk({ tool_calls: [{ index: 0, function: { arguments: json.slice(half) } }] }),
        ];
  const usage = { prompt_tokens: 1200, completion_tokens: 12, total_tokens: 1212 };
  const finish = call === null ? "stop" : "tool_calls";
  const called = { id, type: "function", function: { name: call?.name, arguments: json } };
  const message = {
    role: "assistant",
    content: call === null ? text : null,
    ...(call === null ? {} : { tool_calls: [called] }),
  };
  return {
    chunks: [
      chunk({ role: "assistant", content: "" }),
      ...pieces,
      chunk({}, finish),
      `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [], usage })}\n\n`,
      "data: [DONE]\n\n",
    ],
    whole: {
      ...head,
      object: "chat.completion",
      choices: [{ index: 0, message, finish_reason: finish }],
      usage,
    },
  };
}
