import type { KeyPath } from "../../core/key-path.ts";
import { present } from "../../core/present.ts";

/**
 * Finds where a key of a TOML document stands in its text.
 *
 * smol-toml hands out plain values without positions, and a finding without a line is half a finding. This scanner
 * walks the same text once and builds a tree of offsets with the shape of the document. It runs only on text that
 * smol-toml accepted, so it never judges syntax: it only has to know where strings, arrays, inline tables, comments
 * and bare values end. The two are kept equal by a property test: every path of a parsed document is found, the key
 * stands at the offset, and the text of the value parses to the value.
 */
export interface TomlLocation {
  /** Where the key stands; for an element of an array, where the element starts. */
  readonly keyOffset: number;
  readonly keyEnd: number;
  /** Text of the value; undefined for tables made by headers or dotted keys, whose text is not in one piece. */
  readonly value: { readonly offset: number; readonly end: number } | undefined;
}

interface LocationNode {
  keyOffset: number;
  keyEnd: number;
  value: { offset: number; end: number } | undefined;
  readonly children: Map<string, LocationNode>;
  readonly items: LocationNode[];
}

interface KeyPart {
  readonly name: string;
  readonly offset: number;
  readonly end: number;
}

const WHITESPACE = new Set([" ", "\t", "\n", "\r"]);
const VALUE_ENDS = new Set([",", "]", "}", "#", "\n", "\r"]);

const createNode = (keyOffset: number, keyEnd: number): LocationNode => ({
  keyOffset,
  keyEnd,
  value: undefined,
  children: new Map(),
  items: [],
});

class TomlScanner {
  readonly root: LocationNode = createNode(0, 0);
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): LocationNode {
    if (this.#text.startsWith("\uFEFF")) this.#position = 1;
    let table = this.root;
    for (this.#skipVoid(); this.#position < this.#text.length; this.#skipVoid()) {
      if (this.#peek() === "[") table = this.#header();
      else this.#keyValue(table);
    }
    return this.root;
  }

  #peek(ahead = 0): string {
    return this.#text[this.#position + ahead] ?? "";
  }

  #skipVoid(): void {
    while (this.#position < this.#text.length) {
      if (WHITESPACE.has(this.#peek())) this.#position += 1;
      else if (this.#peek() === "#") this.#skipTo("\n");
      else return;
    }
  }

  #skipTo(character: string): void {
    const found = this.#text.indexOf(character, this.#position);
    this.#position = found === -1 ? this.#text.length : found;
  }

  #header(): LocationNode {
    const isArray = this.#peek(1) === "[";
    this.#position += isArray ? 2 : 1;
    const parts = this.#key("]");
    this.#position += isArray ? 2 : 1;
    const last = parts.at(-1);
    if (last === undefined) return this.root;
    const parent = this.#descend(this.root, parts.slice(0, -1));
    if (!isArray) return this.#openTable(parent, last);
    const array = childOf(parent, last);
    const item = createNode(last.offset, last.end);
    array.items.push(item);
    return item;
  }

  #openTable(parent: LocationNode, part: KeyPart): LocationNode {
    const node = childOf(parent, part);
    return node.items.at(-1) ?? node;
  }

  #descend(from: LocationNode, parts: readonly KeyPart[]): LocationNode {
    return parts.reduce((node, part) => this.#openTable(node, part), from);
  }

  #keyValue(table: LocationNode): void {
    const parts = this.#key("=");
    this.#position += 1;
    this.#skipVoid();
    const last = parts.at(-1);
    if (last === undefined) return;
    this.#value(childOf(this.#descend(table, parts.slice(0, -1)), last));
  }

  /** Reads a dotted key and stops on the closing character. */
  #key(closing: "]" | "="): KeyPart[] {
    const parts: KeyPart[] = [];
    while (this.#position < this.#text.length && this.#peek() !== closing) {
      if (this.#peek() === "." || WHITESPACE.has(this.#peek())) this.#position += 1;
      else parts.push(this.#keyPart(closing));
    }
    return parts;
  }

  #keyPart(closing: string): KeyPart {
    const offset = this.#position;
    const quote = this.#peek();
    if (quote === '"' || quote === "'") {
      this.#skipString();
      const inner = this.#text.slice(offset + 1, this.#position - 1);
      return { name: quote === '"' ? decodeEscapes(inner) : inner, offset, end: this.#position };
    }
    while (this.#position < this.#text.length && !this.#endsBareKey(closing)) this.#position += 1;
    return { name: this.#text.slice(offset, this.#position), offset, end: this.#position };
  }

  #endsBareKey(closing: string): boolean {
    return this.#peek() === closing || this.#peek() === "." || WHITESPACE.has(this.#peek());
  }

  #value(node: LocationNode): void {
    const offset = this.#position;
    const first = this.#peek();
    if (first === '"' || first === "'") this.#skipString();
    else if (first === "[") this.#array(node);
    else if (first === "{") this.#inlineTable(node);
    else this.#skipBareValue();
    node.value = { offset, end: this.#position };
  }

  /** Numbers, booleans and dates; a date and its time may be parted by one space. */
  #skipBareValue(): void {
    const offset = this.#position;
    while (this.#position < this.#text.length && !VALUE_ENDS.has(this.#peek())) this.#position += 1;
    this.#position = offset + this.#text.slice(offset, this.#position).trimEnd().length;
  }

  #array(node: LocationNode): void {
    this.#position += 1;
    for (this.#skipSeparators(); this.#inside("]"); this.#skipSeparators()) {
      const item = createNode(this.#position, this.#position);
      this.#value(item);
      item.keyEnd = this.#position;
      node.items.push(item);
    }
    this.#position += 1;
  }

  #inlineTable(node: LocationNode): void {
    this.#position += 1;
    for (this.#skipSeparators(); this.#inside("}"); this.#skipSeparators()) this.#keyValue(node);
    this.#position += 1;
  }

  #inside(closing: string): boolean {
    return this.#position < this.#text.length && this.#peek() !== closing;
  }

  #skipSeparators(): void {
    for (this.#skipVoid(); this.#peek() === ","; this.#skipVoid()) this.#position += 1;
  }

  #skipString(): void {
    const quote = this.#peek();
    const isLong = this.#peek(1) === quote && this.#peek(2) === quote;
    this.#position += isLong ? 3 : 1;
    const closing = isLong ? quote.repeat(3) : quote;
    while (this.#position < this.#text.length && !this.#text.startsWith(closing, this.#position))
      this.#position += quote === '"' && this.#peek() === "\\" ? 2 : 1;
    this.#position += closing.length;
    // A long string may end with one or two quotes of its own before the closing three.
    if (isLong) while (this.#peek() === quote) this.#position += 1;
  }
}

function childOf(parent: LocationNode, part: KeyPart): LocationNode {
  const existing = parent.children.get(part.name);
  if (existing !== undefined) return existing;
  const created = createNode(part.offset, part.end);
  parent.children.set(part.name, created);
  return created;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  e: "\u001B",
};

const CODE_POINT_ESCAPE = /\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)/gs;

function decodeEscapes(inner: string): string {
  return inner.replaceAll(CODE_POINT_ESCAPE, (escape) => {
    const letter = present(escape[1], "the letter of an escape");
    if (escape.length > 2) return String.fromCodePoint(Number.parseInt(escape.slice(2), 16));
    return SHORT_ESCAPES[letter] ?? letter;
  });
}

/**
 * The places of one document. Paths are those of the parsed value: strings for keys, numbers for elements. The text is
 * walked when the first place is asked for: of files without findings nobody asks.
 */
export class TomlLocator {
  readonly #text: string;
  #root: LocationNode | undefined;

  /** `text` must be TOML that smol-toml accepts. */
  constructor(text: string) {
    this.#text = text;
  }

  /** Where the path stands, or undefined when the document has no such path. */
  find(path: KeyPath): TomlLocation | undefined {
    let node: LocationNode | undefined = (this.#root ??= new TomlScanner(this.#text).scan());
    for (const step of path) {
      node = typeof step === "number" ? node.items[step] : node.children.get(step);
      if (node === undefined) return undefined;
    }
    return node;
  }
}
