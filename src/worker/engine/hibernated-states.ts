import { z } from "zod";
import { parseJson } from "../../core/json.ts";
import { sharedPrefixLength } from "./choose-slot.ts";

/** The computed state of a slot, in a file, with the tokens that it was computed from. */
export interface HibernatedState {
  /** Names its two files: `<id>.state`, and `<id>.json`, which is written last. */
  readonly id: string;
  readonly tokens: readonly number[];
  readonly bytes: number;
  /** Of the state's file: one that has changed is not loaded. */
  readonly sha256: string;
}

/** A prompt must gain so many tokens, or reading a file is not worth it. */
const LEAST_GAIN = 64;

/** The state that spares a prompt most, where its slot shares `sharedTokens` with it already. */
export function bestState(
  states: Iterable<HibernatedState>,
  prompt: readonly number[],
  sharedTokens: number,
): HibernatedState | undefined {
  let best: { readonly state: HibernatedState; readonly shared: number } | undefined;
  for (const state of states) {
    const shared = sharedPrefixLength(state.tokens, prompt);
    if (shared < sharedTokens + LEAST_GAIN || shared <= (best?.shared ?? 0)) continue;
    best = { state, shared };
  }
  return best?.state;
}

/** States that a longer one makes superfluous: its tokens begin with all of theirs. */
export const coveredBy = (
  states: Iterable<HibernatedState>,
  tokens: readonly number[],
): readonly HibernatedState[] =>
  [...states].filter((state) => sharedPrefixLength(state.tokens, tokens) === state.tokens.length);

const FORMAT = 1;

const recordSchema = z.object({
  format: z.literal(FORMAT),
  bytes: z.int().positive(),
  sha256: z.string().length(64),
  /** Base64 of little-endian 32-bit numbers. */
  tokens: z.string(),
});

export function stateRecord({ tokens, bytes, sha256 }: Omit<HibernatedState, "id">): string {
  const packed = Buffer.alloc(tokens.length * 4);
  for (const [index, token] of tokens.entries()) packed.writeUInt32LE(token, index * 4);
  return `${JSON.stringify({ format: FORMAT, bytes, sha256, tokens: packed.toString("base64") })}\n`;
}

/** Undefined when the text is no record: of another version, or broken. */
export function readStateRecord(id: string, text: string): HibernatedState | undefined {
  const parsed = recordSchema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const packed = Buffer.from(parsed.data.tokens, "base64");
  if (packed.length === 0 || packed.length % 4 !== 0) return undefined;
  const tokens = Array.from({ length: packed.length / 4 }, (_, index) => packed.readUInt32LE(index * 4));
  return { id, tokens, bytes: parsed.data.bytes, sha256: parsed.data.sha256 };
}
