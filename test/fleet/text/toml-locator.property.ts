import fc from "fast-check";
import { parse } from "smol-toml";
import { expect, test } from "vitest";
import { TomlLocator } from "../../../src/fleet/text/toml-locator.ts";

type Value = string | number | boolean | Value[] | Document;
interface Document {
  readonly [key: string]: Value;
}

const keyNames = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/) },
  fc.constantFrom(
    "a.b",
    'say "x"',
    "it's",
    "with space",
    "#no",
    "[x]",
    "=",
    "tab\tkey",
    "ü",
    "",
    "back\\slash",
  ),
);

const strings = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom(
    "# no comment",
    "[[models]]",
    'quo"te',
    "x = 1",
    "a\nb",
    '"""',
    "'''",
    'ends with quote"',
    "back\\",
    "}, ]",
  ),
);

const values = fc.letrec<{ value: Value; table: Document; array: Value[] }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    strings,
    fc.integer({ min: -9999, max: 9999 }),
    fc.boolean(),
    tie("array"),
    tie("table"),
    fc.array(tie("table"), { minLength: 1, maxLength: 3 }),
  ),
  array: fc.array(tie("value"), { maxLength: 3 }),
  table: fc.dictionary(keyNames, tie("value"), { maxKeys: 3 }),
}));

const documents = fc.dictionary(keyNames, values.value, { maxKeys: 5 });

const isDocument = (value: Value): value is Document => typeof value === "object" && !Array.isArray(value);

/** Writes a document in a style chosen anew at every turn: what people write, and then some. */
class TomlWriter {
  readonly #choose: (options: number) => number;

  constructor(choose: (options: number) => number) {
    this.#choose = choose;
  }

  document(document: Document): string {
    return this.#void() + this.#tableBody(document, []);
  }

  #tableBody(table: Document, path: readonly string[]): string {
    const later: string[] = [];
    const now: string[] = [];
    for (const [key, value] of Object.entries(table)) {
      const inner = [...path, key];
      if (isDocument(value) && this.#choose(3) > 0) later.push(this.#header(inner, value));
      else if (Array.isArray(value) && value.length > 0 && value.every(isDocument) && this.#choose(3) > 0)
        later.push(...value.map((item) => this.#arrayHeader(inner, item)));
      else if (isDocument(value) && Object.keys(value).length > 0 && this.#choose(2) === 0)
        now.push(this.#dotted([key], value));
      else now.push(this.#line([key], value));
    }
    return [...now, ...later].join("");
  }

  #header(path: readonly string[], table: Document): string {
    return `${this.#indent()}[${this.#space()}${this.#key(path)}${this.#space()}]${this.#lineEnd()}${this.#tableBody(table, path)}`;
  }

  #arrayHeader(path: readonly string[], table: Document): string {
    return `${this.#indent()}[[${this.#space()}${this.#key(path)}${this.#space()}]]${this.#lineEnd()}${this.#tableBody(table, path)}`;
  }

  #dotted(path: readonly string[], table: Document): string {
    return Object.entries(table)
      .map(([key, value]) =>
        isDocument(value) && Object.keys(value).length > 0
          ? this.#dotted([...path, key], value)
          : this.#line([...path, key], value),
      )
      .join("");
  }

  #line(path: readonly string[], value: Value): string {
    return `${this.#indent()}${this.#key(path)}${this.#space()}=${this.#space()}${this.#value(value)}${this.#lineEnd()}`;
  }

  #key(path: readonly string[]): string {
    return path.map((part) => this.#keyPart(part)).join(`${this.#space()}.${this.#space()}`);
  }

  #keyPart(part: string): string {
    if (/^[A-Za-z0-9_-]+$/.test(part) && this.#choose(2) === 0) return part;
    if (!/['\n]/.test(part) && !hasControl(part) && this.#choose(2) === 0) return `'${part}'`;
    return this.#basic(part);
  }

  #value(value: Value): string {
    if (typeof value === "string") return this.#string(value);
    if (Array.isArray(value)) return this.#array(value);
    if (isDocument(value)) return this.#inline(value);
    return String(value);
  }

  #string(value: string): string {
    const style = this.#choose(4);
    if (style === 0 && !value.includes("'") && !/[\r\n]/.test(value) && !hasControl(value))
      return `'${value}'`;
    if (style === 1 && !value.includes("'") && !hasControl(value)) return `'''\n${value}'''`;
    if (style === 2)
      return `"""\n${value
        .split("\n")
        .map((line) => this.#escaped(line, "long"))
        .join("\n")}"""`;
    return this.#basic(value);
  }

  #basic(value: string): string {
    return `"${this.#escaped(value, "short")}"`;
  }

  #escaped(value: string, kind: "short" | "long"): string {
    // One or two bare quotes may end a long string.
    const bareEnd = kind === "long" && value.endsWith('"') && !value.endsWith('""') ? 1 : 0;
    const body = value.slice(0, value.length - bareEnd);
    return (
      Array.from(body)
        .map((character) => escapeCharacter(character))
        .join("") + '"'.repeat(bareEnd)
    );
  }

  #array(value: readonly Value[]): string {
    const items = value.map((item) => this.#void() + this.#value(item) + this.#void());
    const trailing = value.length > 0 && this.#choose(2) === 0 ? "," : "";
    return `[${items.join(",")}${trailing}${this.#void()}]`;
  }

  #inline(value: Document): string {
    const entries = Object.entries(value).map(
      ([key, inner]) => `${this.#key([key])}${this.#space()}=${this.#space()}${this.#value(inner)}`,
    );
    return `{${this.#space()}${entries.join(`${this.#space()},${this.#space()}`)}${this.#space()}}`;
  }

  #space(): string {
    return ["", " ", "\t"][this.#choose(3)] ?? "";
  }

  #indent(): string {
    return ["", "  "][this.#choose(2)] ?? "";
  }

  #void(): string {
    return ["", " ", "\n", " # [comment] = \"'\n", "\r\n"][this.#choose(5)] ?? "";
  }

  #lineEnd(): string {
    return ["\n", "\r\n", " # it's \"[x]\n", "\n\n"][this.#choose(4)] ?? "\n";
  }
}

/** Characters that stand in no literal string; line breaks and tabs are dealt with apart. */
const hasControl = (text: string): boolean =>
  Array.from(text).some((character) => {
    const code = character.codePointAt(0) ?? 0;
    const isControl = (code < 0x20 && character !== "\t" && character !== "\n") || code === 0x7f;
    return isControl || (code >= 0xd800 && code <= 0xdfff);
  });

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === "\\" || character === '"') return `\\${character}`;
  if (character === "\n") return "\\n";
  if (code < 0x20 || code === 0x7f) return `\\u${code.toString(16).padStart(4, "0")}`;
  return character;
}

const rendered = fc.tuple(documents, fc.infiniteStream(fc.nat())).map(([document, stream]) => {
  const writer = new TomlWriter((options) => Number(stream.next().value) % options);
  return { document, text: writer.document(document) };
});

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): { path: Path; value: unknown }[] {
  if (typeof value !== "object" || value === null) return path.length === 0 ? [] : [{ path, value }];
  const inner = Array.isArray(value)
    ? value.flatMap((item: unknown, index) => pathsOf(item, [...path, index]))
    : Object.entries(value).flatMap(([key, item]) => pathsOf(item, [...path, key]));
  return path.length === 0 ? inner : [{ path, value }, ...inner];
}

const readable = (text: string): boolean => {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
};

test("every path of a document is found where its key stands, and its text is its value", () => {
  let checkedPaths = 0;
  fc.assert(
    fc.property(rendered, ({ text }) => {
      fc.pre(readable(text));
      const locator = new TomlLocator(text);
      for (const { path, value } of pathsOf(parse(text))) {
        const location = locator.find(path);
        expect(location, `${JSON.stringify(path)} in\n${text}`).toBeDefined();
        if (location === undefined) continue;
        const key = path.at(-1);
        const keyText = text.slice(location.keyOffset, location.keyEnd);
        const keysThere = typeof key === "string" ? Object.keys(parse(`${keyText} = 1`)) : [key];
        expect(keysThere, text).toEqual([key]);
        const { offset, end } = location.value ?? { offset: 0, end: 0 };
        const valueThere =
          location.value === undefined ? value : parse(`x = ${text.slice(offset, end)}`)["x"];
        expect(valueThere, text).toEqual(value);
        checkedPaths += 1;
      }
    }),
    { numRuns: 1500 },
  );
  expect(checkedPaths).toBeGreaterThan(2000);
});

test("the writer of this file makes TOML that reads back as the document, or the law above says little", () => {
  let readableCount = 0;
  fc.assert(
    fc.property(rendered, ({ document, text }) => {
      if (!readable(text)) return;
      readableCount += 1;
      expect(JSON.parse(JSON.stringify(parse(text)))).toEqual(document);
    }),
    { numRuns: 300 },
  );
  expect(readableCount).toBeGreaterThan(270);
});
