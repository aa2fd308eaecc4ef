import { isRecord } from "../../core/json.ts";

/** The first messages of a conversation, as bytes of a body. */
export interface Opening {
  readonly bytes: Buffer;
  readonly messages: readonly { readonly start: number; readonly end: number }[];
}

/** Longer openings differ before that. */
const LONGEST_OPENING_BYTES = 256 * 1024;

/**
 * From the first message to the first that is not an instruction: the next turns of the conversation begin with the
 * same, and other conversations with the same instructions do not.
 */
export function openingBytes({ bytes, messages }: Opening): Buffer | undefined {
  const [first] = messages;
  if (first === undefined) return undefined;
  const asked = messages.find(({ start, end }) => !INSTRUCTION.test(bytes.toString("latin1", start, end)));
  const end = (asked ?? messages.at(-1) ?? first).end;
  return bytes.subarray(first.start, Math.min(end, first.start + LONGEST_OPENING_BYTES));
}

/** Quotes within texts are escaped, so only a key of that name is found. */
const INSTRUCTION = /"role"\s*:\s*"(?:system|developer)"/;

const isInstruction = (message: unknown): boolean =>
  isRecord(message) && (message["role"] === "system" || message["role"] === "developer");

/** The opening of a conversation whose messages are at hand as values. */
export function openingOf(messages: unknown): Opening | null {
  if (!Array.isArray(messages) || messages.length === 0) return null;
  const asked = messages.findIndex((message) => !isInstruction(message));
  const bytes = Buffer.from(JSON.stringify(messages.slice(0, asked + 1 || messages.length)));
  return { bytes, messages: [{ start: 0, end: bytes.length }] };
}
