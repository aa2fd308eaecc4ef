import fc from "fast-check";
import { expect, test } from "vitest";
import { fleetDigest } from "../../../src/fleet/schema/fleet-digest.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";

/** Blocks that mean the same wherever they stand, with a slip in the last line of some of them. */
const BLOCKS = [
  '[fleet]\nname = "home"\n',
  '[gateway]\nlisten = "127.0.0.1:8080"\n',
  '[gateway]\nmetrics_listen = "127.0.0.1:8081"\n',
  '[eviction]\nstrategy = "cost"\n',
  '[[neurons]]\nname = "beast"\nendpoint = "http://beast:13131"\n',
  '[[neurons]]\nname = "benjy"\nendpoint = "http://benjy:13131"\n',
  '[[models]]\nid = "a"\nreplicas = 2\n[models.limit]\ncontext = 4096\n',
  '[[models]]\nid = "b"\npinned_on = ["benjy"]\n',
  `[[keys]]\nid = "ci"\nhash = "sha256:${"0".repeat(64)}"\nmodels = ["b", "a"]\n`,
  `[[keys]]\nid = "web"\nhash = "sha256:${"1".repeat(64)}"\n`,
  '[aliases]\nsmall = "a"\n',
  '[aliases]\nlarge = "b"\n',
];
const FILE_COUNT = 4;

const layouts = fc.record({
  order: fc.shuffledSubarray(
    BLOCKS.map((_, index) => index),
    { minLength: BLOCKS.length },
  ),
  files: fc.array(fc.nat(FILE_COUNT - 1), { minLength: BLOCKS.length, maxLength: BLOCKS.length }),
});

/** The blocks in this order, each in its file. A table may have one header in a file, so halves of one are joined. */
function written(blocks: readonly string[], layout: { order: readonly number[]; files: readonly number[] }) {
  const texts = Array.from({ length: FILE_COUNT }, () => new Map<string, string>());
  for (const [place, index] of layout.order.entries()) {
    const [header = "", ...lines] = (blocks[index] ?? "").split(/(?<=\n)/);
    const file = texts[layout.files[index] ?? 0] ?? new Map<string, string>();
    const name = header.startsWith("[[") ? `${header}${place}` : header;
    file.set(name, `${file.get(name) ?? header}${lines.join("")}`);
  }
  return texts
    .map((file, index) => ({ path: `${index}.toml`, text: [...file.values()].join("") }))
    .filter(({ text }) => text !== "");
}

test("a fleet means the same however its blocks are spread over files, and in whatever order", () => {
  const asWritten = { order: BLOCKS.map((_, index) => index), files: BLOCKS.map(() => 0) };
  const whole = parseFleet(written(BLOCKS, asWritten));
  const digest = whole.ok ? fleetDigest(whole.value.fleet) : undefined;
  expect(digest).toBeDefined();
  fc.assert(
    fc.property(layouts, (layout) => {
      const result = parseFleet(written(BLOCKS, layout));
      expect(result.ok ? fleetDigest(result.value.fleet) : result.error).toBe(digest);
    }),
    { numRuns: 300 },
  );
});

test("a slip is found at its line of its file, wherever its block stands", () => {
  fc.assert(
    fc.property(layouts, fc.nat(BLOCKS.length - 1), (layout, slipped) => {
      const blocks = BLOCKS.with(slipped, `${BLOCKS[slipped] ?? ""}no_such_key = 1\n`);
      const files = written(blocks, layout);
      const result = parseFleet(files);
      const places = files.flatMap(({ path, text }) =>
        text
          .split("\n")
          .flatMap((line, index) => (line.startsWith("no_such_key") ? [`${path}:${index + 1}`] : [])),
      );
      const found = result.ok ? [] : result.error.filter(({ severity }) => severity === "error");
      expect(found.map(({ file, line }) => `${file}:${line}`)).toEqual(places);
    }),
    { numRuns: 300 },
  );
});
