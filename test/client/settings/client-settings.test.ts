import { expect, test } from "vitest";
import { z } from "zod";
import { CLIENT_NAMES, clientSettings, isClientName } from "../../../src/client/settings/client-settings.ts";
import { mergeSettings } from "../../../src/client/settings/merge-settings.ts";
import { parseJsonc } from "../../../src/client/settings/merge-json.ts";
import { parseToml } from "../../../src/client/settings/merge-toml.ts";
import { parseYaml } from "../../../src/client/settings/merge-yaml.ts";

const OPEN = { baseUrl: "http://gateway.internal:31313", model: "org/a", context: 32_000, keyFile: null };
const KEYED = { ...OPEN, keyFile: "/home/me/it's a key" };

const textOf = (...[client, endpoint]: Parameters<typeof clientSettings>): string => {
  const { file, shell } = clientSettings(client, endpoint);
  return [file === null ? "" : mergeSettings("", file), ...shell].join("\n");
};

test.each(CLIENT_NAMES)("%s is told the endpoint and the model", (name) => {
  expect(textOf(name, OPEN)).toContain(OPEN.baseUrl);
  expect(textOf(name, OPEN)).toContain(OPEN.model);
});

test("settings files are what their clients read", () => {
  expect(parseToml(textOf("codex", OPEN).replace(/codex$/, ""))).toMatchObject({
    model_provider: "cortex",
    model_providers: { cortex: { base_url: `${OPEN.baseUrl}/v1`, wire_api: "responses" } },
  });
  const written = (client: "opencode" | "continue" | "claude-code") => {
    const { file } = clientSettings(client, OPEN);
    return file === null ? "" : mergeSettings("", file);
  };
  expect(parseJsonc(written("opencode"))).toMatchObject({
    provider: { cortex: { options: { baseURL: `${OPEN.baseUrl}/v1` } } },
    model: "cortex/org/a",
  });
  expect(parseJsonc(written("claude-code"))).toMatchObject({
    env: { ANTHROPIC_BASE_URL: OPEN.baseUrl, CLAUDE_CODE_MAX_CONTEXT_TOKENS: "32000" },
  });
  expect(parseYaml(written("continue"))).toMatchObject({
    models: [{ model: "org/a", apiBase: `${OPEN.baseUrl}/v1` }],
  });
});

/** As Zed's own reader of its settings has them (crates/settings_content, 2026-11): what is not there is not read. */
const ZED_SETTINGS = z.strictObject({
  language_models: z.strictObject({
    openai_compatible: z.record(
      z.string(),
      z.strictObject({
        api_url: z.url(),
        available_models: z.array(
          z.strictObject({
            name: z.string(),
            display_name: z.string().optional(),
            max_tokens: z.int().positive(),
            max_output_tokens: z.int().positive().optional(),
            max_completion_tokens: z.int().positive().optional(),
            capabilities: z.strictObject({
              tools: z.boolean(),
              images: z.boolean(),
              parallel_tool_calls: z.boolean(),
              prompt_cache_key: z.boolean(),
              chat_completions: z.boolean().optional(),
            }),
          }),
        ),
      }),
    ),
  }),
  agent: z.strictObject({ default_model: z.strictObject({ provider: z.string(), model: z.string() }) }),
});

test("Zed's settings are those that Zed reads, and its key is in the variable that it looks into", () => {
  const { file, shell } = clientSettings("zed", KEYED);
  const read = ZED_SETTINGS.parse(parseJsonc(file === null ? "" : mergeSettings("", file)));
  const [provider = "", { available_models: models } = { available_models: [] }] =
    Object.entries(read.language_models.openai_compatible)[0] ?? [];
  expect(models).toMatchObject([{ name: "org/a", max_tokens: 32_000 }]);
  expect(read.agent.default_model).toEqual({ provider, model: "org/a" });
  expect(shell[0]).toContain(`export ${provider.toUpperCase()}_API_KEY=`);
});

/** Where a client reads the key itself, or takes it from a variable that somebody sets. */
test.each(CLIENT_NAMES.filter((name) => name !== "ollama"))("%s finds its key where it lies", (name) => {
  const { file, shell, notes } = clientSettings(name, KEYED);
  const written = file === null ? "" : mergeSettings("", file);
  expect(`${written}\n${shell.join("\n")}\n${notes.join("\n")}`).toMatch(
    /it's a key|it'\\+''s a key|CORTEX_KEY/,
  );
  expect(written).not.toContain('"none"');
});

test("the name of a file is one word for a shell", () => {
  expect(clientSettings("codex", KEYED).shell[0]).toBe(
    String.raw`export CORTEX_KEY="$(cat '/home/me/it'\''s a key')"`,
  );
});

test("what is no client is the name of a model", () => {
  expect(isClientName("codex")).toBe(true);
  expect(isClientName("cortex/demo")).toBe(false);
  expect(isClientName("toString")).toBe(false);
});
