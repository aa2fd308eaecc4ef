import { describe, expect, test } from "vitest";
import { helpText, readChatLine, type ChatLine } from "../../../src/cli/chat/chat-line.ts";

describe("what a line is", () => {
  test.each<[string, ChatLine]>([
    ["hello", { kind: "question", text: "hello" }],
    ["  hello  ", { kind: "question", text: "hello" }],
    ["", { kind: "empty" }],
    ["//etc/hosts, what is it?", { kind: "question", text: "/etc/hosts, what is it?" }],
    ["/help", { kind: "help" }],
    ["/?", { kind: "help" }],
    ["/models", { kind: "models" }],
    ["/model", { kind: "model", id: null }],
    ["/model org/a", { kind: "model", id: "org/a" }],
    ["/system", { kind: "system", text: null }],
    ["/system  Answer in verse. ", { kind: "system", text: "Answer in verse." }],
    ["/clear", { kind: "clear" }],
    ["/retry", { kind: "retry" }],
    ["/bye", { kind: "quit" }],
    ["/modle org/a", { kind: "unknown", name: "/modle", meant: "/model" }],
    ["/x", { kind: "unknown", name: "/x", meant: undefined }],
  ])("%j", (line, expected) => {
    expect(readChatLine(line)).toMatchObject(expected);
  });

  test("help names every command, and fits 80 columns", () => {
    const lines = helpText().split("\n");
    expect(lines.filter((line) => line.startsWith("  /"))).toHaveLength(7);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(80);
  });
});
