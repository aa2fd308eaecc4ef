import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { keyBlockSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { ANONYMOUS_ID, hashOfSecret, KeyRing, mayUse } from "../../../src/gateway/keys/key-ring.ts";

const key = (id: string, fields: Readonly<Record<string, unknown>> = {}) =>
  keyBlockSchema.parse({ id, hash: hashOfSecret(`secret-of-${id}`), ...fields });

const closed = { allowAnonymous: false };
const codeOf = (ask: () => unknown): string => {
  try {
    ask();
    return "served";
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown.code;
    throw thrown;
  }
};

describe("who asks", () => {
  const ring = new KeyRing([key("ci"), key("ops", { role: "admin" })], closed);
  test.each([
    { what: "bearer", headers: { authorization: "Bearer secret-of-ci" }, id: "ci" },
    { what: "bearer in another case", headers: { authorization: "bearer  secret-of-ci " }, id: "ci" },
    {
      what: "x-api-key, as Anthropic's clients send it",
      headers: { "x-api-key": "secret-of-ops" },
      id: "ops",
    },
    {
      what: "both, of which one is a library's filler",
      headers: { authorization: "Bearer none", "x-api-key": "secret-of-ci" },
      id: "ci",
    },
  ])("$what", ({ headers, id }) => {
    expect(ring.identify(headers).id).toBe(id);
  });

  test.each([
    { what: "nothing", headers: {} },
    { what: "a wrong secret", headers: { authorization: "Bearer secret-of-nobody" } },
    {
      what: "the hash in place of the secret",
      headers: { authorization: `Bearer ${hashOfSecret("secret-of-ci")}` },
    },
    { what: "another scheme", headers: { authorization: "Basic secret-of-ci" } },
    { what: "an empty key", headers: { authorization: "Bearer ", "x-api-key": " " } },
    { what: "several headers", headers: { authorization: ["Bearer secret-of-ci"] } },
  ])("refused: $what", ({ headers }) => {
    expect(codeOf(() => ring.identify(headers))).toBe("unauthorized");
  });

  test("the refusal names no secret", () => {
    const message = (() => {
      try {
        return ring.identify({ authorization: "Bearer secret-of-nobody" }).id;
      } catch (thrown) {
        return JSON.stringify(thrown, Object.getOwnPropertyNames(thrown));
      }
    })();
    expect(message).not.toContain("secret-of");
  });

  test("a fleet without keys serves everybody, whatever filler is sent", () => {
    const open = new KeyRing([], closed);
    const who = open.identify({ authorization: "Bearer none" });
    expect(who).toMatchObject({ id: ANONYMOUS_ID, admin: true, limits: null });
  });

  test("beside keys, whoever has none may use models and see nothing of the fleet", () => {
    const mixed = new KeyRing([key("ci")], { allowAnonymous: true });
    expect(mixed.identify({ authorization: "Bearer none" })).toMatchObject({
      id: ANONYMOUS_ID,
      admin: false,
    });
    expect(mixed.identify({ authorization: "Bearer secret-of-ci" }).id).toBe("ci");
  });

  test("hashes that begin alike are told apart", () => {
    // Found by counting up: both begin with the same two bytes.
    const [one, other] = alike();
    const twins = new KeyRing(
      [key("one", { hash: hashOfSecret(one) }), key("other", { hash: hashOfSecret(other) })],
      closed,
    );
    expect(twins.identify({ "x-api-key": one }).id).toBe("one");
    expect(twins.identify({ "x-api-key": other }).id).toBe("other");
  });
});

function alike(): readonly [string, string] {
  const seen = new Map<string, string>();
  for (let count = 0; ; count += 1) {
    const secret = `counted-${count}`;
    const beginning = hashOfSecret(secret).slice(0, "sha256:".length + 4);
    const before = seen.get(beginning);
    if (before !== undefined) return [before, secret];
    seen.set(beginning, secret);
  }
}

describe("what a key may use", () => {
  const [principal] = new KeyRing([key("ci", { models: ["Qwen/*", "fleet/fast"] })], closed).principals;
  test.each([
    { names: ["Qwen/Qwen3-8B"], allowed: true },
    { names: ["fleet/fast", "other/model"], allowed: true },
    { names: ["other/model"], allowed: false },
    { names: ["nick", "Qwen/Qwen3-8B"], allowed: true },
    { names: ["qwen/x"], allowed: false },
  ])("$names: $allowed", ({ names, allowed }) => {
    expect(principal !== undefined && mayUse(principal, names)).toBe(allowed);
  });
});
