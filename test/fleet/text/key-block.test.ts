import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { keyBlockText, withBlock, withoutKeyBlock } from "../../../src/fleet/text/key-block.ts";

const HASH = `sha256:${"0".repeat(64)}`;

test("a block says what it was made of, in the order of its fields", () => {
  const text = keyBlockText({
    id: "ci",
    hash: HASH,
    models: ["Qwen/*"],
    window: { kind: "rolling", seconds: 60 },
    hard_cap: 5,
    requests_per_minute: undefined,
  });
  expect(text).toBe(
    `[[keys]]\nid = "ci"\nhash = "${HASH}"\nmodels = ["Qwen/*"]\nwindow = { kind = "rolling", seconds = 60 }\nhard_cap = 5\n`,
  );
});

test("a block goes behind what the file holds", () => {
  expect(withBlock("", "[[keys]]\n")).toBe("[[keys]]\n");
  expect(withBlock("[fleet]\nname = 'x'\n\n\n", "[[keys]]\n")).toBe("[fleet]\nname = 'x'\n\n[[keys]]\n");
});

const FILE = `# clients
[[keys]]
id = "ci" # the pipeline
hash = "${HASH}"
models = [
  "Qwen/*",
]

# of the laptop
[[ keys ]]
id = "laptop"
hash = "${HASH}"
[keys.window]
kind = "rolling"
seconds = 60

# models follow
[[models]]
id = "[[keys]]"
`;

describe("taking a block out", () => {
  test("the first, with what is in it, and not the comment of the next", () => {
    const left = withoutKeyBlock(FILE, "ci") ?? "";
    expect(left.startsWith("# clients\n# of the laptop\n[[ keys ]]\n")).toBe(true);
    expect((parse(left)["keys"] as { id: string }[]).map(({ id }) => id)).toEqual(["laptop"]);
  });

  test("one with a table of its own", () => {
    const left = withoutKeyBlock(FILE, "laptop") ?? "";
    expect(left).toContain("# models follow\n[[models]]");
    expect(left).not.toContain("rolling");
    expect(parse(left)["models"]).toEqual(parse(FILE)["models"]);
  });

  test.each([
    { what: "an inline array", text: `keys = [{ id = "ci", hash = "${HASH}" }]\n` },
    { what: "no such key", text: FILE.replaceAll('"ci"', '"other"') },
    { what: "a header inside a text", text: `note = """\n[[keys]]\nid = "ci"\n"""\n` },
    { what: "no TOML", text: "[[keys]\n" },
  ])("$what: nothing is touched", ({ text }) => {
    const left = withoutKeyBlock(text, "ci");
    expect(left === null || left === text).toBe(true);
  });
});
