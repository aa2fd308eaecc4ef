import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { judgeHook } from "../../../src/controller/reconcile/webhook.ts";

const SECRET = "a shared secret";
const body = (ref: string): Buffer => Buffer.from(JSON.stringify({ ref, after: "abc" }));
const sign = (bytes: Buffer, secret = SECRET): string =>
  createHmac("sha256", secret).update(bytes).digest("hex");

const HOSTS: Readonly<Record<string, (bytes: Buffer, secret: string) => Record<string, string>>> = {
  GitHub: (bytes, secret) => ({ "x-hub-signature-256": `sha256=${sign(bytes, secret)}` }),
  Gitea: (bytes, secret) => ({ "x-gitea-signature": sign(bytes, secret) }),
  Forgejo: (bytes, secret) => ({ "x-forgejo-signature": sign(bytes, secret) }),
  GitLab: (_bytes, secret) => ({ "x-gitlab-token": secret }),
};

describe.each(Object.entries(HOSTS))("a webhook of %s", (_host, headersOf) => {
  test("of the branch announces a push, of another one does not", () => {
    for (const [ref, verdict] of [
      ["refs/heads/main", "push"],
      ["refs/heads/other", "other"],
      ["refs/tags/main", "other"],
    ] as const) {
      const bytes = body(ref);
      expect(judgeHook({ headers: headersOf(bytes, SECRET), body: bytes }, SECRET, "main")).toBe(verdict);
    }
  });

  test("with another secret is nobody's", () => {
    const bytes = body("refs/heads/main");
    expect(judgeHook({ headers: headersOf(bytes, "other"), body: bytes }, SECRET, "main")).toBe(
      "unauthorized",
    );
  });
});

test("a body that was changed under its signature is nobody's, and neither is one without any", () => {
  const headers = { "x-hub-signature-256": `sha256=${sign(body("refs/heads/other"))}` };
  expect(judgeHook({ headers, body: body("refs/heads/main") }, SECRET, "main")).toBe("unauthorized");
  expect(judgeHook({ headers: {}, body: body("refs/heads/main") }, SECRET, "main")).toBe("unauthorized");
});

test("a signature that is wrong is not made good by a token beside it", () => {
  const bytes = body("refs/heads/main");
  const headers = { "x-gitea-signature": "00", "x-gitlab-token": SECRET };
  expect(judgeHook({ headers, body: bytes }, SECRET, "main")).toBe("unauthorized");
});
