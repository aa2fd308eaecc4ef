import { expect, test } from "vitest";
import { keepMsOf } from "../../../src/gateway/dialect/ollama/keep-alive.ts";
import { OLLAMA_ROUTES } from "../../../src/gateway/dialect/ollama/ollama-routes.ts";

test.each([
  [null, undefined],
  ["", undefined],
  [0, 0],
  ["0", 0],
  ["0s", 0],
  [300, 300_000],
  ["300", 300_000],
  ["5m", 300_000],
  ["1h30m", 5_400_000],
  ["1.5h", 5_400_000],
  ["250ms", 250],
  ["24h", 86_400_000],
  [-1, Infinity],
  ["-1", Infinity],
  ["-1m", Infinity],
] as const)("%s is %s ms", (given, expected) => {
  expect(keepMsOf(given)).toBe(expected);
});

test.each(["soon", "5 m", "5x", "m", "1h30", "--1"])("%s is refused by name", (given) => {
  expect(() => keepMsOf(given)).toThrow(expect.objectContaining({ param: "keep_alive" }));
});

const IDENTITY = { newId: () => "1", nowSecs: 0, elapsedMs: () => 0 };

test.each([
  ["/api/chat", { messages: [{ role: "user", content: "hi" }] }],
  ["/api/generate", { prompt: "hi" }],
  ["/api/embed", { input: "hi" }],
  ["/api/embeddings", { prompt: "hi" }],
])("%s takes the wish along, and tells the model nothing of it", (path, fields) => {
  const route = OLLAMA_ROUTES.find((one) => one.path === path);
  const asked = route?.translate({ model: "m", keep_alive: "5m", ...fields }, IDENTITY);
  expect(asked).toMatchObject({ keepMs: 300_000 });
  expect(asked?.instead).toBeUndefined();
  expect(JSON.stringify(asked?.body)).not.toContain("keep");
});

test.each([
  { path: "/api/chat", fields: { messages: [] }, said: { message: { role: "assistant", content: "" } } },
  { path: "/api/generate", fields: {}, said: { response: "" } },
])("$path without a question and with no time to stay asks no model", ({ path, fields, said }) => {
  const route = OLLAMA_ROUTES.find((one) => one.path === path);
  const asked = route?.translate({ model: "m", keep_alive: 0, ...fields }, IDENTITY);
  expect(asked?.keepMs).toBe(0);
  expect(JSON.parse(asked?.instead ?? "")).toMatchObject({
    model: "m",
    done: true,
    done_reason: "unload",
    ...said,
  });
});
