import { parse as parseToml } from "smol-toml";
import { expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { CLIENT_NAMES, clientSettings, isClientName } from "../../src/client/client-settings.ts";

const ENDPOINT = { baseUrl: "http://gateway.internal:31313", model: "org/a" };

test.each(CLIENT_NAMES)("%s is told the endpoint and the model", (name) => {
  const { text } = clientSettings(name, ENDPOINT);
  expect(text).toContain(ENDPOINT.baseUrl);
  expect(text).toContain(ENDPOINT.model);
});

test("settings files are what their clients read", () => {
  expect(parseToml(clientSettings("codex", ENDPOINT).text)).toMatchObject({
    model_provider: "cortex",
    model_providers: { cortex: { base_url: `${ENDPOINT.baseUrl}/v1`, wire_api: "responses" } },
  });
  expect(JSON.parse(clientSettings("opencode", ENDPOINT).text)).toMatchObject({
    provider: { cortex: { options: { baseURL: `${ENDPOINT.baseUrl}/v1` } } },
    model: "cortex/org/a",
  });
  expect(parseYaml(clientSettings("continue", ENDPOINT).text)).toMatchObject({
    models: [{ model: "org/a", apiBase: `${ENDPOINT.baseUrl}/v1` }],
  });
});

test("what is no client is the name of a model", () => {
  expect(isClientName("codex")).toBe(true);
  expect(isClientName("cortex/demo")).toBe(false);
  expect(isClientName("toString")).toBe(false);
});
