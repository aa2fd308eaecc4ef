import { nearest } from "../../core/nearest.ts";

/** What a line of a conversation is. */
export type ChatLine =
  | { readonly kind: "question"; readonly text: string }
  | { readonly kind: "help" }
  | { readonly kind: "quit" }
  | { readonly kind: "models" }
  | { readonly kind: "model"; readonly id: string | null }
  | { readonly kind: "system"; readonly text: string | null }
  | { readonly kind: "clear" }
  | { readonly kind: "retry" }
  | { readonly kind: "unknown"; readonly name: string; readonly meant: string | undefined }
  | { readonly kind: "empty" };

interface Command {
  readonly takes: string;
  readonly does: string;
  readonly read: (rest: string) => ChatLine;
}

const orNull = (text: string): string | null => (text === "" ? null : text);

export const COMMANDS: Readonly<Record<string, Command>> = {
  "/help": { takes: "", does: "these commands", read: () => ({ kind: "help" }) },
  "/models": { takes: "", does: "models that the endpoint offers", read: () => ({ kind: "models" }) },
  "/model": {
    takes: "[ID]",
    does: "who answers from now on; alone: who answers now",
    read: (rest) => ({ kind: "model", id: orNull(rest) }),
  },
  "/system": {
    takes: "[TEXT]",
    does: "system prompt from now on; alone: shows it; `none`: none",
    read: (rest) => ({ kind: "system", text: orNull(rest) }),
  },
  "/clear": {
    takes: "",
    does: "forget the conversation, keep model and system prompt",
    read: () => ({ kind: "clear" }),
  },
  "/retry": { takes: "", does: "ask the last question again", read: () => ({ kind: "retry" }) },
  "/quit": { takes: "", does: "leave; so do Ctrl-D, and Ctrl-C twice", read: () => ({ kind: "quit" }) },
};

const OTHER_NAMES: Readonly<Record<string, string>> = {
  "/exit": "/quit",
  "/bye": "/quit",
  "/?": "/help",
  "/q": "/quit",
};

/** A line that begins with `/` is a command; `//` begins a question that begins with `/`. */
export function readChatLine(line: string): ChatLine {
  const text = line.trim();
  if (text === "") return { kind: "empty" };
  if (text.startsWith("//")) return { kind: "question", text: text.slice(1) };
  if (!text.startsWith("/")) return { kind: "question", text };
  const [name = "", ...rest] = text.split(" ");
  const command = COMMANDS[OTHER_NAMES[name] ?? name];
  if (command === undefined) return { kind: "unknown", name, meant: nearest(name, Object.keys(COMMANDS)) };
  return command.read(rest.join(" ").trim());
}

export const helpText = (): string =>
  [
    ...Object.entries(COMMANDS).map(
      ([name, { takes, does }]) => `  ${`${name} ${takes}`.trimEnd().padEnd(16)}  ${does}`,
    ),
    "  a line that ends in \\ goes on in the next; Ctrl-C stops an answer",
  ].join("\n");
