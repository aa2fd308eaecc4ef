/* oxlint-disable no-control-regex -- TOML forbids control characters, so its readers must know them */
/**
 * A second reader of TOML 1.1, written from the specification: headers, keys, strings, numbers, booleans, arrays and
 * inline tables, over as many lines as they may take; everything but dates, which no field of a fleet has. The mutation
 * test compares what fleet files mean with what this reader says they mean. It returns undefined for what it does not
 * understand.
 */
type Table = Record<string, unknown>;

class Refusal extends Error {}

const refuse = (): never => {
  throw new Refusal();
};

const NUMBER =
  /^(?:[+-]?(?:0|[1-9](?:_?\d)*)(?<fraction>(?:\.\d(?:_?\d)*)?(?:[eE][+-]?\d(?:_?\d)*)?)|0x[0-9a-fA-F](?:_?[0-9a-fA-F])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*|[+-]?(?:inf|nan))$/;

const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  e: "\u001B",
  '"': '"',
  "\\": "\\",
};

const QUOTED =
  /^(?:"((?:[^"\\\u0000-\u0008\u000A-\u001F\u007F]|\\.)*)"|'([^'\u0000-\u0008\u000A-\u001F\u007F]*)')/;

const BLANKS = /^[ \t]*/;
const COMMENT = /^#[^\u0000-\u0008\u000A-\u001F\u007F]*/;
const END_OF_LINE = /^(?:\n|$)/;

/** Of strings in three pairs of quotes: up to two more stand before the last three. */
const LONG_QUOTED =
  /^(?:"""\n?((?:[^\\\u0000-\u0008\u000B-\u001F\u007F]|\\[^])*?"{0,2})"""(?!")|'''\n?([^\u0000-\u0008\u000B-\u001F\u007F]*?'{0,2})'''(?!'))/;

class PlainReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get #rest(): string {
    return this.#text.slice(this.#at);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  blanks(): void {
    this.#skip(BLANKS);
  }

  /** Within brackets and braces a line may end anywhere between two words. */
  #gap(): void {
    do {
      this.blanks();
      this.#skip(COMMENT);
    } while (this.#skip(/^\n/));
  }

  #skip(pattern: RegExp): boolean {
    const length = pattern.exec(this.#rest)?.[0].length ?? 0;
    this.#at += length;
    return length > 0;
  }

  take(token: string): boolean {
    this.blanks();
    if (!this.#rest.startsWith(token)) return false;
    this.#at += token.length;
    return true;
  }

  need(token: string): void {
    if (!this.take(token)) refuse();
  }

  /** Nothing but a comment may follow; control characters are allowed nowhere. */
  end(): void {
    this.blanks();
    this.#skip(COMMENT);
    if (!END_OF_LINE.test(this.#rest)) refuse();
    this.#at += 1;
  }

  /** Whether there is nothing on this line. */
  isOver(): boolean {
    this.blanks();
    return this.#rest.startsWith("#") || END_OF_LINE.test(this.#rest);
  }

  key(): string[] {
    const parts = [this.#keyPart()];
    while (this.take(".")) parts.push(this.#keyPart());
    return parts;
  }

  #keyPart(): string {
    this.blanks();
    const quote = this.#text[this.#at];
    if (quote === '"' || quote === "'") return this.#string();
    const bare = /^[A-Za-z0-9_-]+/.exec(this.#rest)?.[0] ?? refuse();
    this.#at += bare.length;
    return bare;
  }

  #string(): string {
    const isLong = /^(?:"""|''')/.test(this.#rest);
    const [all, basic, literal] = (isLong ? LONG_QUOTED : QUOTED).exec(this.#rest) ?? refuse();
    this.#at += all.length;
    if (basic === undefined) return literal ?? "";
    const joined = isLong ? basic.replaceAll(/(?<=(?:^|[^\\])(?:\\\\)*)\\[ \t]*\n[ \t\n]*/g, "") : basic;
    return joined.replaceAll(
      /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))/g,
      (_all, ...groups) => {
        const [short, long, byte, letter] = groups as (string | undefined)[];
        const digits = short ?? long ?? byte;
        if (digits !== undefined) return String.fromCodePoint(Number.parseInt(digits, 16));
        return ESCAPES[letter ?? ""] ?? refuse();
      },
    );
  }

  value(): unknown {
    this.blanks();
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") return this.#string();
    if (first === "[") return this.#array();
    if (first === "{") return this.#inlineTable();
    const word = /^[^\s,\]}#]+/.exec(this.#rest)?.[0] ?? refuse();
    this.#at += word.length;
    if (word === "true" || word === "false") return word === "true";
    if (!NUMBER.test(word)) refuse();
    const plain = word.replaceAll("_", "").replace(/^\+/, "");
    if (plain.endsWith("inf")) return plain.startsWith("-") ? -Infinity : Infinity;
    return Number(plain);
  }

  #array(): unknown[] {
    this.need("[");
    const items: unknown[] = [];
    while (!this.#closes("]")) {
      items.push(this.value());
      this.#gap();
      if (!this.take(",")) {
        this.need("]");
        break;
      }
    }
    return items;
  }

  #inlineTable(): Table {
    this.need("{");
    const table: Table = {};
    while (!this.#closes("}")) {
      const key = this.key();
      this.need("=");
      setOnce(table, key, this.value());
      this.#gap();
      if (!this.take(",")) {
        this.need("}");
        break;
      }
    }
    return table;
  }

  #closes(token: string): boolean {
    this.#gap();
    return this.take(token);
  }
}

const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function descend(table: Table, step: string): Table {
  const next = Object.hasOwn(table, step) ? table[step] : (table[step] = {});
  const inner: unknown = Array.isArray(next) ? next.at(-1) : next;
  return isTable(inner) ? inner : refuse();
}

function setOnce(table: Table, key: readonly string[], value: unknown): void {
  const last = key.at(-1) ?? refuse();
  const holder = key.slice(0, -1).reduce(descend, table);
  if (Object.hasOwn(holder, last)) refuse();
  holder[last] = value;
}

/** The document, or undefined. */
export function readPlainToml(text: string): Table | undefined {
  const root: Table = {};
  const opened = new Set<string>();
  let table = root;
  try {
    const reader = new PlainReader(text.replaceAll("\r\n", "\n"));
    while (!reader.isAtEnd) {
      if (reader.take("[[")) {
        const key = reader.key();
        reader.need("]]");
        table = appendTable(root, key);
      } else if (reader.take("[")) {
        const key = reader.key();
        reader.need("]");
        const name = JSON.stringify(key);
        if (opened.has(name)) refuse();
        opened.add(name);
        table = key.reduce(descend, root);
      } else if (!reader.isOver()) {
        const key = reader.key();
        reader.need("=");
        setOnce(table, key, reader.value());
      }
      reader.end();
    }
  } catch (thrown) {
    if (thrown instanceof Refusal) return undefined;
    throw thrown;
  }
  return root;
}

function appendTable(root: Table, key: readonly string[]): Table {
  const last = key.at(-1) ?? refuse();
  const holder = key.slice(0, -1).reduce(descend, root);
  const list = Object.hasOwn(holder, last) ? holder[last] : (holder[last] = []);
  if (!Array.isArray(list)) return refuse();
  const table: Table = {};
  list.push(table);
  return table;
}
