import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  commitStatus,
  statusTarget,
  type StatusHost,
} from "../../../src/controller/reconcile/commit-status.ts";
import { conditionsOf } from "../../../src/controller/reconcile/conditions.ts";
import { judgeDelivery, MOST_ATTEMPTS, pauseBefore } from "../../../src/controller/reconcile/delivery.ts";
import { slackNotification, webhookNotification } from "../../../src/controller/reconcile/notification.ts";
import type { RoundOutcome } from "../../../src/controller/reconcile/round-outcome.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const applied: RoundOutcome = { kind: "applied", commit: COMMIT, message: "01234567 applied: 1 to load" };
const refused: RoundOutcome = { kind: "refused", reason: "MassUnload", commit: COMMIT, message: "too many" };

const target = (url: string, host: StatusHost, api?: string) =>
  statusTarget(url, { host, api, token: "t0ken" });

const statusOf = (outcome: RoundOutcome, host: StatusHost = "github") =>
  commitStatus(outcome, target("https://git.example/own/er/fleet.git", host), { fleet: "home" });

const stateOf = (outcome: RoundOutcome, host: StatusHost): unknown => {
  const status = statusOf(outcome, host);
  return status === undefined ? undefined : (JSON.parse(status.body) as { readonly state: string }).state;
};

const news = (outcome: RoundOutcome) => ({
  fleet: "home",
  at: "2026-01-01T00:00:00.000Z",
  outcome,
  conditions: conditionsOf(undefined, outcome, 0),
});

const judged = (status: number, more: { readonly retryAfter?: string; readonly text?: string } = {}) =>
  judgeDelivery({ status, retryAfter: undefined, text: "", ...more });

describe("where a status goes", () => {
  test.each([
    ["https://github.com/own/fleet.git", "github", "https://api.github.com", "own/fleet"],
    ["git@github.com:own/fleet.git", "github", "https://api.github.com", "own/fleet"],
    ["https://ghe.example/own/fleet", "github", "https://ghe.example/api/v3", "own/fleet"],
    ["http://127.0.0.1:3000/own/fleet.git", "gitea", "http://127.0.0.1:3000/api/v1", "own/fleet"],
    ["ssh://git@git.example:2222/own/fleet.git", "gitea", "https://git.example/api/v1", "own/fleet"],
    ["https://gitlab.example/a/b/c.git", "gitlab", "https://gitlab.example/api/v4", "a/b/c"],
  ] as const)("%s at %s", (...[url, host, api, repository]) => {
    expect(target(url, host)).toEqual({ host, api, repository, token: "t0ken" });
  });

  test("an address of its own wins; a directory and a git daemon have none", () => {
    expect(target("https://git.example/own/fleet", "gitea", "https://in.example/git/api/v1/").api).toBe(
      "https://in.example/git/api/v1",
    );
    expect(() => target("/srv/fleet.git", "github")).toThrow("at no git host");
    expect(() => target("git://git.example/own/fleet", "github")).toThrow("at no git host");
  });
});

describe("the status of a commit", () => {
  test("is written as each host wants it, with its token and without a secret in the body", () => {
    expect(statusOf(applied, "github")).toEqual({
      url: `https://git.example/api/v3/repos/own/er/fleet/statuses/${COMMIT}`,
      headers: {
        "content-type": "application/json",
        "user-agent": "cortex",
        accept: "application/vnd.github+json",
        authorization: "Bearer t0ken",
      },
      body: '{"state":"success","context":"cortex/home","description":"01234567 applied: 1 to load"}',
    });
    expect(statusOf(applied, "gitea")?.headers["authorization"]).toBe("token t0ken");
    expect(statusOf(applied, "gitlab")).toMatchObject({
      url: `https://git.example/api/v4/projects/own%2Fer%2Ffleet/statuses/${COMMIT}`,
      headers: { "private-token": "t0ken" },
      body: '{"state":"success","name":"cortex/home","description":"01234567 applied: 1 to load"}',
    });
  });

  test.each([
    [applied, "success", "success"],
    [refused, "failure", "failed"],
    [{ kind: "drifted", commit: COMMIT, message: "" }, "failure", "failed"],
    [{ kind: "failed", reason: "LockHeld", commit: COMMIT, message: "" }, "pending", "pending"],
    [{ kind: "drift-suspected", commit: COMMIT, message: "" }, undefined, undefined],
    [{ kind: "failed", reason: "FetchFailed", commit: null, message: "" }, undefined, undefined],
  ] as const)("%j is %s at GitHub, %s at GitLab", (outcome, github, gitlab) => {
    expect([stateOf(outcome, "github"), stateOf(outcome, "gitlab")]).toEqual([github, gitlab]);
  });

  test("what waits is pending, and a fleet that needs nothing is not", () => {
    const held = {
      kind: "held-back",
      reason: "Suspended",
      commit: COMMIT,
      message: "",
      until_ms: null,
    } as const;
    expect(stateOf({ ...held, in_sync: false }, "github")).toBe("pending");
    expect(stateOf({ ...held, in_sync: true }, "github")).toBe("success");
  });

  test("a long message is cut to what hosts take", () => {
    const long = JSON.parse(statusOf({ ...applied, message: "x".repeat(500) })?.body ?? "") as {
      readonly description: string;
    };
    expect(long.description).toBe(`${"x".repeat(137)}...`);
  });
});

describe("news", () => {
  test("for programs are JSON, signed where a secret is shared", () => {
    const { body, headers } = webhookNotification(news(applied), { url: "http://hook", secret: "s3cret" });
    expect(JSON.parse(body)).toMatchObject({ type: "reconcile", fleet: "home", outcome: applied });
    const digest = createHmac("sha256", "s3cret").update(body).digest("hex");
    expect(headers["x-cortex-signature-256"]).toBe(`sha256=${digest}`);
    expect(
      webhookNotification(news(applied), { url: "http://hook", secret: undefined }).headers,
    ).not.toHaveProperty("x-cortex-signature-256");
  });

  test("for people are a line that mentions nobody", () => {
    const { body } = slackNotification(news({ ...refused, message: "<!channel> & more" }), "http://slack");
    expect(JSON.parse(body)).toEqual({ text: ":x: *home* MassUnload: &lt;!channel&gt; &amp; more" });
    expect(JSON.parse(slackNotification(news(applied), "http://slack").body)).toEqual({
      text: ":white_check_mark: *home* Succeeded: 01234567 applied: 1 to load",
    });
  });
});

describe("what is answered to what is sent", () => {
  test.each([
    [201, {}, { kind: "delivered" }],
    [503, {}, { kind: "again", afterMs: undefined }],
    [429, { retryAfter: "7" }, { kind: "again", afterMs: 7000 }],
    [429, { retryAfter: "999999" }, { kind: "again", afterMs: 300_000 }],
    [503, { retryAfter: "Wed, 21 Oct 2026 07:28:00 GMT" }, { kind: "again", afterMs: undefined }],
    [401, {}, { kind: "refused" }],
    [302, {}, { kind: "refused" }],
    [400, { text: "bad" }, { kind: "refused" }],
    [400, { text: "Cannot transition status via :run from :running" }, { kind: "delivered" }],
  ])("%i %j", (status, more, verdict) => {
    expect(judged(status, more)).toEqual(verdict);
  });

  test("is waited for ever longer, and not for ever", () => {
    const pauses = Array.from({ length: MOST_ATTEMPTS - 1 }, (_, index) => pauseBefore(index + 1));
    expect(pauses).toEqual([2000, 6000, 18_000, 54_000, 162_000]);
    expect(pauseBefore(20)).toBe(300_000);
  });
});
