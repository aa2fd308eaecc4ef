import fc from "fast-check";
import { stringify as stringifyToml } from "smol-toml";
import { stringify as stringifyYaml } from "yaml";
import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { parseJsonc } from "../../../src/client/settings/merge-json.ts";
import { parseToml } from "../../../src/client/settings/merge-toml.ts";
import { parseYaml } from "../../../src/client/settings/merge-yaml.ts";
import { mergeSettings, saysAll } from "../../../src/client/settings/merge-settings.ts";
import { CLIENT_NAMES, clientSettings } from "../../../src/client/settings/client-settings.ts";
import type { SettingsFile } from "../../../src/client/settings/settings-change.ts";

const ENDPOINT = { baseUrl: "http://gateway.internal:31313", model: "org/a", context: 8192, keyFile: null };

const FILES = CLIENT_NAMES.flatMap((client) => {
  const { file } = clientSettings(client, ENDPOINT);
  return file === null ? [] : [file];
});

/** Settings that a user may have: names that ours are among, so that they meet. */
const key = fc.constantFrom("model", "env", "models", "provider", "model_providers", "theme", "name", "mcp");
const leaf = fc.oneof(fc.string({ unit: "grapheme-ascii", maxLength: 12 }), fc.integer(), fc.boolean());
const tree: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc.dictionary(
  key,
  fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(key, leaf, { maxKeys: 3 })),
  { maxKeys: 5 },
);

const WRITERS = {
  json: (value: unknown) => `${JSON.stringify(value, undefined, "\t")}\n`,
  toml: (value: unknown) => stringifyToml(value),
  yaml: (value: unknown) => stringifyYaml(value),
} as const;
const READERS = { json: parseJsonc, toml: parseToml, yaml: parseYaml } as const;

/** The merged text; null where it was refused, which is the only other outcome. */
function merged(text: string, file: SettingsFile): string | null {
  try {
    return mergeSettings(text, file);
  } catch (thrown) {
    if (thrown instanceof CortexError && thrown.code === "settings_unreadable") return null;
    throw thrown;
  }
}

describe("settings are put into a file", () => {
  test.each(FILES)("$path: what else it says stays, and doing it again changes nothing", (file) => {
    fc.assert(
      fc.property(tree, (own) => {
        const once = merged(WRITERS[file.format](own), file);
        if (once === null) return;
        expect(saysAll(once, file)).toBe(true);
        expect(merged(once, file)).toBe(once);
        const ours = new Set(file.settings.map(({ path: [first] }) => first));
        const after = READERS[file.format](once) as Readonly<Record<string, unknown>>;
        const others = Object.entries(own).filter(([name]) => !ours.has(name));
        expect(after).toMatchObject(Object.fromEntries(others));
      }),
    );
  });

  test.each(CLIENT_NAMES)("%s: a key that comes later takes the place of none", (client) => {
    const before = clientSettings(client, ENDPOINT).file;
    const after = clientSettings(client, { ...ENDPOINT, keyFile: "/home/me/key" }).file;
    const text = before === null || after === null ? "" : mergeSettings(mergeSettings("", before), after);
    expect(text).not.toMatch(/\bnone\b/);
  });

  test.each(FILES)("$path: into an empty file", (file) => {
    expect(saysAll(mergeSettings("", file), file)).toBe(true);
  });
});

const fileOf = (client: "codex" | "opencode" | "continue" | "zed"): SettingsFile => {
  const { file } = clientSettings(client, ENDPOINT);
  if (file === null) throw new Error(`${client} has no file`);
  return file;
};

describe("what people have written stays as they wrote it", () => {
  test("TOML: comments, other providers, and an earlier table of ours", () => {
    const text = `# my settings
model = "gpt" # the good one
approval_policy = "never"

# the other gateway
[model_providers.other]
base_url = "http://other/v1"

[model_providers.cortex]
base_url = "http://old/v1"
env_key = "OLD"

# tools
[mcp_servers.x]
command = "x"
`;
    expect(mergeSettings(text, fileOf("codex"))).toBe(`# my settings
model = "org/a"
approval_policy = "never"
model_provider = "cortex"
model_context_window = 8192

# the other gateway
[model_providers.other]
base_url = "http://other/v1"

[model_providers.cortex]
name = "cortex"
base_url = "http://gateway.internal:31313/v1"
wire_api = "responses"

# tools
[mcp_servers.x]
command = "x"
`);
  });

  test("JSON with comments", () => {
    const text = `// Zed settings
{
    "theme": "One", // dark
    "agent": { "enabled": true, },
}
`;
    const after = mergeSettings(text, fileOf("zed"));
    expect(after).toContain("// Zed settings");
    expect(after).toContain('"theme": "One", // dark');
    expect(parseJsonc(after)).toMatchObject({
      theme: "One",
      agent: { enabled: true, default_model: { provider: "cortex", model: "org/a" } },
    });
  });

  test("YAML: other models, and ours in its place", () => {
    const text = `name: mine
models:
  # local
  - name: local
    provider: ollama
    model: a
  - name: cortex
    provider: openai
    model: old
  - name: last
    provider: openai
    model: b
`;
    const after = mergeSettings(text, fileOf("continue"));
    expect(after).toContain("# local");
    expect(parseYaml(after)).toMatchObject({
      name: "mine",
      models: [{ name: "local" }, { name: "cortex", model: "org/a" }, { name: "last" }],
    });
  });

  test.each([
    { what: "inline tables", text: 'model_providers = { cortex = { base_url = "x" } }\n' },
    { what: "a key of several lines", text: 'model = """\na\n"""\n' },
  ])("TOML with $what is refused, not spoiled", ({ text }) => {
    expect(merged(text, fileOf("codex"))).toBeNull();
  });

  test.each([
    { client: "opencode" as const, text: '{"a": 1,\n "b": }' },
    { client: "codex" as const, text: "a = \n" },
    { client: "continue" as const, text: "a: [1" },
  ])("$client: a file that cannot be read is refused with its place", ({ client, text }) => {
    expect(() => mergeSettings(text, fileOf(client))).toThrow(
      /cannot be read: .*line|cannot be read: Invalid/,
    );
  });
});
