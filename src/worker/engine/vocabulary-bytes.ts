/**
 * The bytes behind a name in a vocabulary: `<0xE4>` in those of SentencePiece, a character for each byte in those of
 * GPT-2's kind. Null for any other name.
 */
export function vocabularyBytes(name: string): readonly number[] | null {
  const one = /^<0x([0-9A-Fa-f]{2})>$/.exec(name)?.[1];
  if (one !== undefined) return [Number.parseInt(one, 16)];
  const bytes = Array.from(name, (character) => BYTE_OF.get(character));
  return bytes.every((byte) => byte !== undefined) ? bytes : null;
}

const isItself = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

/** Printable bytes are themselves, the others count up from U+0100. */
const BYTE_OF: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 256 }, (_, byte) => byte).map((byte, _index, all): [string, number] => {
    const others = all.slice(0, byte).filter((before) => !isItself(before)).length;
    return [String.fromCharCode(isItself(byte) ? byte : 0x100 + others), byte];
  }),
);
