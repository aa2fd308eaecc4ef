/**
 * The binding reads the header of a file in JavaScript, every text of its vocabulary by itself: 0.3 s for 262,144
 * tokens, and then only asks how many there are. llama.cpp reads them once more for itself. So long arrays are stepped
 * over: what stays is an array of their length without anything in it, and of texts how long the longest is. The texts
 * are asked of the loaded model (`vocabularyOf`).
 *
 * The place is not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export async function stepOverVocabularies(): Promise<void> {
  const parser = new URL("gguf/parser/GgufV2Parser.js", import.meta.resolve("node-llama-cpp"));
  const { GgufV2Parser } = (await import(parser.href)) as { readonly GgufV2Parser: { prototype: Parser } };
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const readValue = GgufV2Parser.prototype._readGgufValue;
  if (patched.has(readValue)) return;
  const readSparsely = function (this: Parser, type: number, offset: Offset): unknown {
    return type === ARRAY_TYPE
      ? readArray(this, offset, (elementType) => readValue.call(this, elementType, offset))
      : readValue.call(this, type, offset);
  };
  patched.add(readSparsely);
  Object.defineProperty(GgufV2Parser.prototype, "_readGgufValue", {
    value: readSparsely,
    configurable: true,
  });
}

/** In bytes; undefined of an array that was not stepped over. */
export const longestTextOf = (texts: readonly unknown[]): number | undefined => longest.get(texts);

interface Offset {
  readonly offset: number;
  moveBy: (bytes: number) => void;
}

interface Reader {
  _buffer: Buffer;
  readUint32: (offset: Offset) => number | Promise<number>;
  readUint64: (offset: Offset) => bigint | Promise<bigint>;
  ensureHasByteRange: (offset: Offset, length: number) => undefined | Promise<void>;
}

interface Parser {
  readonly _fileReader: Reader;
  _readGgufValue: (this: Parser, type: number, offset: Offset) => unknown;
}

const STRING_TYPE = 8;
const ARRAY_TYPE = 9;
/** Of an element of a fixed size, by its type as numbered in the file. */
const FIXED_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8] as const;
/** What is no longer is a list of figures, which the binding reads. */
const LONGEST_READ = 1024;
/** No vocabulary has a hundredth of it; a broken file says anything. */
const MOST_ELEMENTS = 2 ** 26;
const LONGEST_ARRAY = 2 ** 32 - 1;
const LENGTH_BYTES = 8;
const AT_ONCE_BYTES = 1024 * 1024;

const patched = new WeakSet<Parser["_readGgufValue"]>();
const longest = new WeakMap<readonly unknown[], number>();

async function readArray(
  parser: Parser,
  offset: Offset,
  readElement: (type: number) => unknown,
): Promise<readonly unknown[]> {
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const reader = parser._fileReader;
  const type = await reader.readUint32(offset);
  const count = Number(await reader.readUint64(offset));
  if (count > MOST_ELEMENTS) throw new Error(`the header has an array of ${count} elements`);
  const bytes = FIXED_BYTES[type];
  if (count <= LONGEST_READ || (bytes === undefined && type !== STRING_TYPE)) {
    const elements: unknown[] = [];
    for (let at = 0; at < count; at += 1) elements.push(await readElement(type));
    return elements;
  }
  const stood = emptyArrayOf(count);
  if (bytes === undefined) longest.set(stood, await stepOverTexts(reader, { offset, count }));
  else offset.moveBy(bytes * count);
  return stood;
}

/** One that was longer has no room for elements, of which each would take 8 bytes. */
function emptyArrayOf(count: number): readonly unknown[] {
  const empty: unknown[] = [];
  empty.length = LONGEST_ARRAY;
  empty.length = count;
  return empty;
}

/** How long the longest is. */
async function stepOverTexts(
  reader: Reader,
  { offset, count }: { readonly offset: Offset; readonly count: number },
): Promise<number> {
  let most = 1;
  let at = offset.offset;
  for (let read = 0; read < count; read += 1) {
    // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
    if (at + LENGTH_BYTES > reader._buffer.length) {
      offset.moveBy(at - offset.offset);
      await reader.ensureHasByteRange(offset, AT_ONCE_BYTES);
    }
    // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
    const buffer = reader._buffer;
    const length = buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 2 ** 32;
    if (length > AT_ONCE_BYTES) throw new Error(`the header has a token of ${length} bytes`);
    most = Math.max(most, length);
    at += LENGTH_BYTES + length;
  }
  offset.moveBy(at - offset.offset);
  return most;
}
