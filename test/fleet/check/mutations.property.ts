import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Diagnostic } from "../../../src/fleet/text/diagnostics.ts";
import { fleetDigest } from "../../../src/fleet/schema/fleet-digest.ts";
import { fleetSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import { readPlainToml } from "../text/plain-toml-reader.ts";

/**
 * A slip in a fleet file must never pass as something that nobody wrote. Valid files are damaged character by
 * character and line by line. Whatever comes out is refused with findings, or it means what a second, independent
 * reader says that this text means: the same as before, or a legal edit.
 */
const root = join(import.meta.dirname, "../../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

const EVERYTHING = `
fleet.name = "home"

[gateway]
listen = '127.0.0.1:31313'
metrics_listen = "[::1]:31314" # after it

[eviction]
strategy = "cost"
defrag_after_cycles = 1_000

[ledger]
url = "rediss://ledger.internal:6379/0"

[gitops]
repo = "git@git.example:fleet.git"
interval_secs = 60
max_unload_percent = 50

[[neurons]]
name = "beast"
endpoint = "http://beast.internal:13131/"
labels = { room = "rack-1", "power feed" = "A" }
weight = 2.5

[[neurons]]
name = "benjy"
endpoint = "http://benjy.internal:13131"

[[models]]
id = "Qwen/Qwen3-8B"
source = "hf:org/repo:Q4_K_M"
replicas = 0x1
pinned_on = ["beast", "benjy"]
limit.context = 32768
limit.output = 4096
cost = { input = 0.5, output = 1e1 }
parallel = 4

[[models]]
id = "m"
idle_unload_secs = 900
capabilities = ["text"]

[models.limit]
context = 10

[[keys]]
id = "ci"
hash = "sha256:${"0123456789abcdef".repeat(4)}"
models = ["Qwen/*", "small"]
window = { kind = "rolling", seconds = 3600 }
hard_cap = 5_000_000

[aliases]
small = "Qwen/Qwen3-8B"
"helexa/large" = "m"
`;

const ORIGINALS = [
  EVERYTHING,
  read("fleet.example.toml"),
  `${read("assets/init/fleet.toml").replace("@fleet@", "home")}\n${read("assets/init/models.toml")}`,
];

const digestOf = (text: string): string | undefined => {
  const result = parseFleet([{ path: "fleet.toml", text }]);
  return result.ok ? fleetDigest(result.value.fleet) : undefined;
};

type Mutation = (text: string) => string;

const cut = (text: string, at: number): number => Math.min(text.length - 1, Math.floor(at * text.length));

const onLines =
  (change: (lines: string[], first: number, second: number) => string[]) =>
  (text: string, first: number, second: number): string => {
    const lines = text.split("\n");
    return change(lines, Math.floor(first * lines.length), Math.floor(second * lines.length)).join("\n");
  };

const LINE_MUTATIONS = {
  delete: onLines((lines, first) => lines.toSpliced(first, 1)),
  duplicate: onLines((lines, first, second) => lines.toSpliced(second, 0, lines[first] ?? "")),
  swap: onLines((lines, first, second) =>
    lines.with(first, lines[second] ?? "").with(second, lines[first] ?? ""),
  ),
  join: onLines((lines, first) =>
    lines.toSpliced(first, 2, `${lines[first] ?? ""}${lines[first + 1] ?? ""}`),
  ),
  comment: onLines((lines, first) => lines.with(first, (lines[first] ?? "").replace(/^# /, ""))),
} as const;

/** Characters that mean something in TOML, and some that do not belong there at all. */
const ALPHABET = [
  ..."\"'[]{}=.,#_-+\\ \t\n0123456789abcdefxozAEQ:/".split(""),
  "\r",
  "\0",
  "\u00E9",
  "\u{1F600}",
  "\u2028",
  "\uFEFF",
  "\u007F",
];

/** A share of the text. Whole numbers, since doubles of fast-check are crowded around nought. */
const place = fc.noBias(fc.nat(999_999)).map((share) => share / 1_000_000);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.constantFrom("delete", "duplicate", "swap")).map(([at, kind]): Mutation => (text) => {
    const index = cut(text, at);
    const [left, character, next, rest] = [
      text.slice(0, index),
      text[index] ?? "",
      text[index + 1] ?? "",
      text.slice(index + 1),
    ];
    if (kind === "delete") return left + rest;
    return kind === "duplicate"
      ? left + character + character + rest
      : left + next + character + rest.slice(1);
  }),
  fc
    .tuple(place, fc.constantFrom(...ALPHABET), fc.boolean())
    .map(([at, character, replace]): Mutation => (text) => {
      const index = cut(text, at);
      return text.slice(0, index) + character + text.slice(replace ? index + 1 : index);
    }),
  fc
    .tuple(fc.constantFrom(...(Object.keys(LINE_MUTATIONS) as (keyof typeof LINE_MUTATIONS)[])), place, place)
    .map(
      ([kind, first, second]): Mutation =>
        (text) =>
          LINE_MUTATIONS[kind](text, first, second),
    ),
);

test("the originals are valid, and both readers agree on them", () => {
  for (const text of ORIGINALS) {
    expect(digestOf(text)).toBe(fleetDigest(fleetSchema.parse(readPlainToml(text))));
  }
});

/** Lines may end within a value, and change nothing by it. Once the second reader knew values of one line only. */
const LAYOUTS = {
  "an inline table over lines": ["{ room", "{\n room"],
  "one with its comma on a line of its own, and a last one": [
    ', "power feed" = "A" }',
    '\n, # power\n"power feed" = "A",\n}',
  ],
  "an inline table whose value is on another line than its brace": ["{ input = 0.5,", "{\r\n\tinput = 0.5,"],
  "a list over lines": ['["beast", "benjy"]', '[ # both\n"beast"\n,\n"benjy",\n]'],
  "a text in three quotes": ['"Qwen/Qwen3-8B"\nsource', '"""\nQwen/\\\n   Qwen3-8B"""\nsource'],
  "one in three single quotes": ["'127.0.0.1:31313'", "'''127.0.0.1:31313'''"],
} as const;

test.each(Object.entries(LAYOUTS))("%s means the same to both readers", (_name, [before, after]) => {
  const text = EVERYTHING.replace(before, after);
  expect(text).not.toBe(EVERYTHING);
  expect(digestOf(text)).toBe(digestOf(EVERYTHING));
  expect(fleetDigest(fleetSchema.parse(readPlainToml(text)))).toBe(digestOf(EVERYTHING));
});

/** A refusal says why, and where in the file. */
function assertFindings(findings: readonly Diagnostic[], text: string): void {
  const lines = text.split("\n").length;
  expect(findings.some(({ severity }) => severity === "error")).toBe(true);
  expect(findings.filter(({ line }) => line < 1 || line > lines)).toEqual([]);
}

/** Paths of what the text says and the fleet does not: keys that were ignored, values that were bent into shape. */
function lost(said: unknown, kept: unknown, path = ""): string[] {
  if (typeof said !== "object" || said === null) return sameValue(said, kept) ? [] : [path];
  return Object.entries(said).flatMap(([key, inner]) =>
    lost(inner, (kept as Readonly<Record<string, unknown>> | undefined)?.[key], `${path}/${key}`),
  );
}

/** URLs lose the slash at their end, which is what they are allowed to lose. */
const sameValue = (said: unknown, kept: unknown): boolean =>
  Object.is(said, kept) ||
  (typeof said === "string" && said.replace(/\/+$/, "") === kept) ||
  (said === 0 && kept === 0);

test("a damaged fleet is refused, or means what its text says", () => {
  const seen = { refused: 0, same: 0, edited: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...ORIGINALS),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      (original, mutations) => {
        const mutant = mutations.reduce((text, mutate) => mutate(text), original);
        const result = parseFleet([{ path: "fleet.toml", text: mutant }]);
        if (!result.ok) {
          seen.refused += 1;
          assertFindings(result.error, mutant);
          return;
        }
        const digest = fleetDigest(result.value.fleet);
        if (digest === digestOf(original)) seen.same += 1;
        else seen.edited += 1;
        // Not the original: a reader that overlooks a slip reads both alike.
        const meaning = readPlainToml(mutant);
        expect(meaning, mutant).toBeDefined();
        expect(fleetDigest(fleetSchema.parse(meaning))).toBe(digest);
        expect(lost(meaning, result.value.fleet), mutant).toEqual([]);
      },
    ),
    { numRuns: 4000 },
  );
  // A test in which nothing is accepted, or nothing refused, would show nothing.
  expect(Math.min(seen.refused, seen.same, seen.edited)).toBeGreaterThan(100);
});
