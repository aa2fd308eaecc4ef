import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requestListSchema } from "../../../src/protocol/request-explanation.ts";
import { runCortex } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { applyFleet, sourceOf, startFleet, type RunningFleet } from "../../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";
import { hasTmux, Terminal } from "../../support/terminal.ts";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { once } from "node:events";
import { text } from "node:stream/consumers";

const binary = fileURLToPath(new URL("../../../bin/run.js", import.meta.url));
let fleet: RunningFleet;

beforeAll(async () => {
  // It goes on for ever, so that there is something to stop.
  const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 32_768 });
  const source = sourceOf(modelPath);
  fleet = await startFleet({
    neuronNames: ["beast"],
    modelPath,
    models: `[[models]]\nid = "org/talker"\nsource = "${source}"\nreplicas = 1\n\n[[models]]\nid = "org/other"\nsource = "${source}"\n`,
  });
  await applyFleet(fleet);
}, 90_000);

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const latest = async () => {
  const response = await fetch(`${fleet.gatewayUrl}/fleet/requests?limit=1`);
  return requestListSchema.parse(await response.json()).requests[0];
};

const openChat = (columns: number, rows: number, ...flags: readonly string[]): Promise<Terminal> =>
  Terminal.open(["chat", "--gateway", fleet.gatewayUrl, ...flags], { columns, rows });

/** What the tiny model says is no language; timings are of this run. */
const settled = (screen: string): string =>
  screen
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:12345")
    .replaceAll(/[\d.]+ (ms|s)\b/g, "9 ms")
    .replaceAll(/[\d.]+k? tok\/s/g, "9 tok/s")
    .replaceAll(/, \d+ cached/g, "")
    .replace(/^(> hello)\n[\s\S]*?\n(cut at its length)/m, "$1\n<answer>\n$2")
    .replaceAll(/ +$/gm, "");

describe.skipIf(!hasTmux)("cortex chat in a terminal", () => {
  test.each([
    ["80x24", 80, 24],
    ["200x60", 200, 60],
  ])("at %s: an answer, commands, another model", async (name, ...[columns, rows]) => {
    await using terminal = await openChat(columns, rows, "--max-tokens", "12");
    await terminal.shows(/org\/talker at [\s\S]*\n>$/m);
    await terminal.type("hello");
    await terminal.press("Enter");
    await terminal.shows(/12 tokens \(\d+ in.*tok\/s/);
    await terminal.type("/system Be brief.");
    await terminal.press("Enter");
    await terminal.shows(/taken, from the next question on\n>$/m);
    await terminal.type("/modle");
    await terminal.press("Enter");
    await terminal.shows(/did you mean \/model\?\n>$/m);
    await terminal.type("/models");
    await terminal.press("Enter");
    await terminal.shows(/\* org\/talker\n>$/m);
    await terminal.type("/model org/other");
    await terminal.press("Enter");
    const screen = await terminal.shows(/org\/other answers from now on\n>$/m);
    await expect(settled(screen)).toMatchFileSnapshot(`screens/chat-${name}.txt`);
    await terminal.press("C-d");
    await terminal.shows(/ended with 0/);
  });

  test("Ctrl-C stops the answer and frees its slot; the second one leaves", async () => {
    await using terminal = await openChat(80, 24);
    await terminal.shows(/\n>$/m);
    await terminal.type("hello");
    await terminal.press("Enter");
    await eventually(async () => {
      expect(await latest()).toMatchObject({ status: null, first_token_ms: expect.any(Number) as unknown });
    });
    await terminal.press("C-c");
    await terminal.shows(/stopped, .*Ctrl-C again leaves/);
    await eventually(async () => {
      expect(await latest()).toMatchObject({ status: 499 });
    });
    const health = (await (await fetch(`${fleet.neuronUrls["beast"] ?? ""}/health`)).json()) as {
      readonly models: readonly { readonly in_flight: number }[];
    };
    expect(health.models.map(({ in_flight: open }) => open)).toEqual([0]);
    await terminal.press("C-c");
    await terminal.shows(/ended with 0/);
  });

  test("an error is said with what to do next, and the conversation goes on", async () => {
    await using terminal = await openChat(80, 24, "org/nobody");
    await terminal.shows(/\n>$/m);
    await terminal.type("hello");
    await terminal.press("Enter");
    expect(await terminal.shows(/Next:[\s\S]*\n>$/m)).toContain("Error [model_not_found]");
  });
});

async function piped(question: string, ...flags: readonly string[]) {
  const child = spawn(process.execPath, [binary, "chat", "--gateway", fleet.gatewayUrl, ...flags], {
    env: { PATH: process.env["PATH"], HOME: "/nonexistent" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(question);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { stdout, stderr, code };
}

describe("cortex chat without a terminal", () => {
  test("what is piped in is one question, and its answer alone comes out", async () => {
    const asked = await piped("hello\nand more\n", "--max-tokens", "5");
    expect(asked).toMatchObject({ code: 0, stderr: "" });
    expect(asked.stdout).toMatch(/\n$/);
  });

  test("with --json it comes with tokens and timings", async () => {
    const { stdout } = await piped("hello", "--max-tokens", "5", "--system", "Be brief.", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      model: "org/talker",
      completion_tokens: 5,
      finish_reason: "length",
      first_token_ms: expect.any(Number) as unknown,
      tokens_per_sec: expect.any(Number) as unknown,
    });
  });

  test("nothing is no question", async () => {
    expect(await piped("")).toMatchObject({ code: 64 });
    const { code } = await runCortex(["chat", "--temperature", "hot", "--gateway", fleet.gatewayUrl]);
    expect(code).toBe(64);
  });

  test("a gateway that does not answer is an error with its next step", async () => {
    const { code, stderr } = await runCortex(["chat", "--gateway", "http://127.0.0.1:9"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain("does not answer");
  });
});
