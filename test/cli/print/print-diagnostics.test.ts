import { expect, test } from "vitest";
import { printDiagnostics } from "../../../src/cli/print/print-diagnostics.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";

test("each finding has place, line, mark and help; then the count and where there is more", () => {
  const result = parseFleet([
    { path: "fleet.toml", text: '[fleet]\nname = "home"\n[[models]]\nid = "m"\n\treplicsa = 1\n' },
    { path: "more.toml", text: '[[models]]\nid = "m"\n' },
  ]);
  expect(printDiagnostics(result.ok ? [] : result.error, { colour: false })).toMatchInlineSnapshot(`
    "fleet.toml:1:2: warning CTX114: the fleet declares no neurons: nothing can be placed
      1 | [fleet]
        |  ^^^^^
      help: declare a [[neurons]] block for each machine

    fleet.toml:5:2: error CTX102: \`replicsa\` is not a key of a [[models]] block
      5 | 	replicsa = 1
        | 	^^^^^^^^
      help: did you mean \`replicas\`?

    more.toml:2:6: error CTX106: model \`m\` is already declared in fleet.toml:4
      2 | id = "m"
        |      ^^^
      fleet.toml:4:6: declared here first
      help: names of neurons, ids of models and ids of keys are unique in a fleet; rename or remove one

    2 errors, 1 warning.
    More: cortex explain CTX114 CTX102 CTX106"
  `);
});

test("no findings, no text", () => {
  expect(printDiagnostics([], { colour: true })).toBe("");
});

test("what a terminal would obey is shown, not sent", () => {
  const result = parseFleet([
    { path: "a\u001B]0;title\u0007.toml", text: '[fleet]\nname = "\u001B[2J\u202Eemoh"\n' },
    { path: "b.toml", text: '[aliases]\n"\\u001b[31m" = "x"\n' },
  ]);
  const text = printDiagnostics(result.ok ? [] : result.error, { colour: false });
  expect(text).toContain('2 | name = "\uFFFD[2J\uFFFDemoh"');
  // oxlint-disable-next-line no-control-regex -- the characters that must not be there
  expect(text).not.toMatch(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E]/);
});
