import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { ChatSession, takeAnswer, type ChatSource } from "../cli/chat-session.ts";
import { resultText, type ChatResult, type Conversation } from "../cli/chat/conversation.ts";
import { printable } from "../cli/chat/printable.ts";
import { apiKeyFileFlag, endpointFlag } from "../cli/flags/fleet-flags.ts";
import type { GatewayAccess } from "../client/io/ask-gateway.ts";
import { CortexError } from "../core/errors.ts";
import { listenForShutdown } from "../platform/shutdown.ts";
import { systemClock } from "../platform/system-clock.ts";

export default class ChatCommand extends BaseCommand {
  static override summary = "talk to a model of the endpoint";
  static override description =
    "Streams each answer and says what it took. Ctrl-C stops an answer, which frees its slot; the second one leaves. Lines that begin with / are commands: /help lists them. What is piped in is one question, and its answer alone is printed; with --json it comes with tokens and timings.";
  static override examples = [
    "<%= config.bin %> chat",
    "<%= config.bin %> chat Qwen/Qwen3-8B --system 'Answer in one sentence.'",
    "echo 'What is a KV cache?' | <%= config.bin %> chat Qwen/Qwen3-8B",
    "git diff | <%= config.bin %> chat --system 'Write a commit message.' --json | jq -r .answer",
  ];
  static override args = {
    model: Args.string({
      name: "MODEL",
      // What is piped in is the question, which oclif would take for the model.
      ignoreStdin: true,
      description: "id or alias; default: the first that is loaded, else the first that is offered",
    }),
  };
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    system: Flags.string({ helpValue: "TEXT", summary: "system prompt" }),
    temperature: Flags.string({
      helpValue: "NUMBER",
      summary: "0 = always the likeliest; default: the model's",
    }),
    "max-tokens": Flags.integer({ min: 1, helpValue: "COUNT", summary: "length of an answer at most" }),
  };

  async run(): Promise<ChatResult | undefined> {
    const { args, flags } = await this.parse(ChatCommand);
    const access = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    const temperature = numberOf("temperature", flags.temperature);
    const source = sourceAt(access, { temperature, maxTokens: flags["max-tokens"] });
    const model = args.model ?? (await this.#firstModel(access));
    const conversation: Conversation = { model, system: flags.system ?? null, said: [] };
    if (process.stdin.isTTY && process.stdout.isTTY && !this.jsonEnabled()) {
      const { colour, unicode } = this.environment;
      await new ChatSession({
        source,
        conversation,
        input: process.stdin,
        output: process.stdout,
        look: { colour, unicode },
        address: access.baseUrl,
        clock: systemClock,
      }).run();
      return undefined;
    }
    return this.#answerOnce(source, conversation);
  }

  /** What stands on stdin is one question. */
  async #answerOnce(source: ChatSource, conversation: Conversation): Promise<ChatResult> {
    const content = (await textOf(process.stdin)).trim();
    if (content === "")
      throw new CortexError("usage_error", "nothing was asked", {
        next: "pipe a question in, or run `cortex chat` in a terminal",
      });
    const shutdown = listenForShutdown();
    try {
      const result = await takeAnswer(
        { ...conversation, said: [{ role: "user", content }] },
        {
          source,
          clock: systemClock,
          signal: shutdown.first,
          onPiece: (piece) => {
            if (piece.kind === "text" && !this.jsonEnabled()) process.stdout.write(shown(piece.text));
          },
        },
      );
      if (!this.jsonEnabled()) process.stdout.write("\n");
      if (shutdown.first.aborted) throw new CortexError("interrupted", "the answer was stopped");
      if (process.stderr.isTTY) this.remark(resultText(result));
      return result;
    } finally {
      shutdown.dispose();
    }
  }

  async #firstModel(access: GatewayAccess): Promise<string> {
    const { readModelEntries } = await import("../client/io/read-model-entries.ts");
    const entries = (await readModelEntries(access)).filter(({ alias_of: target }) => target === undefined);
    const first = entries.find(({ loaded }) => loaded === true) ?? entries[0];
    if (first !== undefined) return first.id;
    throw new CortexError("model_not_found", `${access.baseUrl} offers no model`, {
      next: "declare one in the fleet files, or use a key that may use one",
    });
  }
}

/** A terminal is not steered by what a model says; a pipe gets it as it is. */
const shown = (text: string): string => (process.stdout.isTTY ? printable(text) : text);

function sourceAt(
  access: GatewayAccess,
  options: { readonly temperature: number | undefined; readonly maxTokens: number | undefined },
): ChatSource {
  return {
    ask: async function* ask(question, signal) {
      const { bodyOf, streamChat } = await import("../client/io/stream-chat.ts");
      const pieces = streamChat(access, bodyOf({ ...question, ...options }), signal);
      // No tools are offered here.
      for await (const piece of pieces) if (piece.kind !== "call") yield piece;
    },
    models: async () => {
      const { readModelEntries } = await import("../client/io/read-model-entries.ts");
      return (await readModelEntries(access)).map(({ id }) => id);
    },
  };
}

async function textOf(input: NodeJS.ReadStream): Promise<string> {
  input.setEncoding("utf8");
  let text = "";
  for await (const chunk of input) text += String(chunk);
  return text;
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new CortexError("usage_error", `--${name} ${text} is no number`, { next: `as --${name} 0.7` });
}
