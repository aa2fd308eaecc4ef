import { expect, test } from "vitest";
import { requestFingerprint } from "../../../src/protocol/openai/request-fingerprint.ts";

const CHAT = "/v1/chat/completions";
const of = (body: unknown, path = CHAT) =>
  requestFingerprint(path, Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));

const request = { model: "a", messages: [{ role: "user", content: "hi" }], seed: 1 };

test.each([
  { ...request, model: "alias" },
  { ...request, stream: true, stream_options: { include_usage: true } },
  { ...request, user: "somebody", metadata: { a: "b" } },
  { seed: 1, messages: [{ content: "hi", role: "user" }], model: "a" },
])("the same request: %j", (same) => {
  expect(of(same)).toBe(of(request));
});

test("another request has another fingerprint", () => {
  const others = [
    of({ ...request, seed: 2 }),
    of({ ...request, messages: [{ role: "user", content: "ho" }] }),
    of(request, "/v1/completions"),
    of("no JSON"),
    of("[1]"),
  ];
  expect(new Set([of(request), ...others]).size).toBe(6);
  expect(of(request, `${CHAT}?beta=true`)).toBe(of(request));
});

test("a body nested beyond all reason has one too", () => {
  const deep = `{"model":"a","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  expect(of(deep)).toMatch(/^[0-9a-f]{24}$/);
  expect(of(deep)).toBe(of(deep));
});
