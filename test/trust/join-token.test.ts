import { describe, expect, test } from "vitest";
import { formatJoinToken, parseJoinToken } from "../../src/trust/join-token.ts";
import { normalSerial, renewsAtMs } from "../../src/trust/certificate-life.ts";

const TOKEN = {
  address: "[::1]:31315",
  fingerprint: "ab".repeat(32),
  invitation: "i",
  secret: "s3cret",
  name: "beast",
  role: "neuron",
} as const;

describe("an invitation as one word", () => {
  test("is read as it was written, with white space around it", () => {
    expect(parseJoinToken(` ${formatJoinToken(TOKEN)}\n`)).toEqual(TOKEN);
    expect(formatJoinToken(TOKEN)).toMatch(/^cortex-join-[\w-]+$/);
  });

  test.for([
    ["nothing", ""],
    ["half of it", formatJoinToken(TOKEN).slice(0, -20)],
    ["another word", "sk-cortex-abc"],
    ["a short fingerprint", formatJoinToken({ ...TOKEN, fingerprint: "ab" })],
  ])("%s is refused without being repeated", ([, text = ""]) => {
    expect(() => parseJoinToken(text)).toThrow(
      expect.objectContaining({ code: "usage_error", message: "this is no invitation, or not all of it" }),
    );
  });
});

describe("the life of a certificate", () => {
  test("two thirds of it are used", () => {
    const facts = { name: "beast", role: "neuron", serial: "1" } as const;
    expect(renewsAtMs({ ...facts, notBeforeMs: 1000, notAfterMs: 4000 })).toBe(3000);
  });

  test("a serial is one text however it was written", () => {
    expect([normalSerial("004EA0"), normalSerial("4ea0"), normalSerial("00")]).toEqual(["4ea0", "4ea0", "0"]);
  });
});
