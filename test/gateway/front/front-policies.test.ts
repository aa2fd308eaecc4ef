import { describe, expect, test } from "vitest";
import { canonicalPath } from "../../../src/gateway/front/request-path.ts";
import { corsHeaders, refusalOf, type EdgePolicy } from "../../../src/gateway/front/who-may-ask.ts";

describe("paths", () => {
  test.each([
    ["/v1/chat/completions", "/v1/chat/completions"],
    ["/v1/chat/completions/", "/v1/chat/completions"],
    ["//v1//chat/completions", "/v1/chat/completions"],
    ["/v1/v1/chat/completions", "/v1/chat/completions"],
    ["/chat/completions", "/v1/chat/completions"],
    ["/models", "/v1/models"],
    ["/models/", "/v1/models"],
    ["/models/org/a?x=//y/", "/v1/models/org/a?x=//y/"],
    ["/v1/models/v1/models", "/v1/models/v1/models"],
    ["/", "/"],
    ["//", "/"],
    ["/v1", "/v1"],
    ["/modelsx", "/modelsx"],
    ["/fleet", "/fleet"],
    ["/?q", "/?q"],
    ["*", "*"],
  ])("%s is %s", (url, expected) => {
    expect(canonicalPath(url)).toBe(expected);
  });
});

const NOBODY: EdgePolicy = { hosts: [], origins: [] };
const SOME: EdgePolicy = { hosts: ["ai.example.com"], origins: ["https://chat.example.com", "app://desk"] };
const ANY: EdgePolicy = { hosts: ["*"], origins: ["*"] };

describe("who may ask", () => {
  test.each([
    { host: "localhost:31313", policy: NOBODY, code: undefined },
    { host: "LOCALHOST.", policy: NOBODY, code: undefined },
    { host: "a.localhost", policy: NOBODY, code: undefined },
    { host: "127.0.0.1:31313", policy: NOBODY, code: undefined },
    { host: "[::1]:31313", policy: NOBODY, code: undefined },
    { host: "192.168.1.5", policy: NOBODY, code: undefined },
    { host: "ai.example.com:443", policy: SOME, code: undefined },
    { host: "AI.example.com", policy: SOME, code: undefined },
    { host: "evil.example", policy: ANY, code: undefined },
    { host: "evil.example", policy: SOME, code: "host_not_allowed" },
    { host: "127.0.0.1.evil.example", policy: NOBODY, code: "host_not_allowed" },
    { host: "localhost.evil.example", policy: NOBODY, code: "host_not_allowed" },
    { host: "evil.example/@localhost", policy: NOBODY, code: "malformed_request" },
    { host: "", policy: NOBODY, code: "malformed_request" },
    { host: undefined, policy: NOBODY, code: "malformed_request" },
  ])("Host $host: $code", ({ host, policy, code }) => {
    expect(refusalOf({ host, origin: undefined, httpVersion: "1.1" }, policy)?.code).toBe(code);
  });

  test("HTTP/1.0 knows no Host", () => {
    expect(refusalOf({ host: undefined, origin: undefined, httpVersion: "1.0" }, NOBODY)).toBeNull();
  });

  test.each([
    { origin: "http://127.0.0.1:31313", policy: NOBODY, code: undefined, mayRead: false },
    { origin: "http://localhost:3000", policy: NOBODY, code: undefined, mayRead: false },
    { origin: "https://chat.example.com", policy: SOME, code: undefined, mayRead: true },
    { origin: "app://desk", policy: SOME, code: undefined, mayRead: true },
    { origin: "https://evil.example", policy: ANY, code: undefined, mayRead: true },
    { origin: "https://evil.example", policy: SOME, code: "origin_not_allowed", mayRead: false },
    { origin: "http://localhost.evil.example", policy: NOBODY, code: "origin_not_allowed", mayRead: false },
    { origin: "null", policy: NOBODY, code: "origin_not_allowed", mayRead: false },
  ])("Origin $origin: $code", ({ origin, policy, code, mayRead }) => {
    expect(refusalOf({ host: "127.0.0.1:31313", origin, httpVersion: "1.1" }, policy)?.code).toBe(code);
    expect("access-control-allow-origin" in corsHeaders(origin, policy)).toBe(mayRead);
  });
});
