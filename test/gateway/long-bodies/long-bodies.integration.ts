import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runsOf } from "../../support/long-runs.ts";
import { fleetWith, gatewayFor } from "../gateway-bench.ts";

type Child = ChildProcessByStdio<Writable, Readable, null>;

const started: Child[] = [];
function start(script: string, ...words: readonly string[]): Child {
  const path = fileURLToPath(new URL(`./${script}.ts`, import.meta.url));
  const child = spawn(process.execPath, [path, ...words], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdout.setEncoding("utf8");
  started.push(child);
  return child;
}

/** The next line that it prints. */
const line = (child: Child): Promise<string> =>
  new Promise((resolve, reject) => {
    child.stdout.once("data", (text: string) => {
      resolve(text.trim());
    });
    child.once("exit", (code) => {
      reject(new Error(`ended with ${String(code)}`));
    });
  });

function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** What the longest turn of the event loop took of this thread's own time: others on the machine do not count. */
function watchTurns(): () => number {
  let isOver = false;
  let longestMs = 0;
  let lastMs = usedMs();
  const turn = (): void => {
    const now = usedMs();
    longestMs = Math.max(longestMs, now - lastMs);
    lastMs = now;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    isOver = true;
    return longestMs;
  };
}

const LONGEST_TURN_MS = 50;
/** As much as the default limit lets in where there is time for it: with CORTEX_TEST_RUNS=many. */
const MIB = runsOf({ ci: 8, fuzz: 31 });

describe(`one body of ${MIB} MiB holds up nobody for more than ${LONGEST_TURN_MS} ms`, () => {
  let neuronUrl = "";
  beforeAll(async () => {
    neuronUrl = await line(start("neuron-process"));
  });
  afterAll(() => {
    for (const child of started) child.kill("SIGKILL");
  });

  const paths = ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"];
  const forms = ["one text", "many messages", "escapes"];
  const cases = paths.flatMap((path) => forms.map((form) => ({ path, form })));
  // The neuron's own parser takes seconds for it on the route that passes bodies on.
  const nested = paths.slice(1).map((path) => ({ path, form: "nested" }));
  const statuses = new Map([
    ["nested /v1/responses", 400],
    ["nested /v1/messages", 422],
    ["nested /api/chat", 422],
  ]);

  // Beside much other work a turn takes longer of its own thread's time too; what holds up a gateway does so each time.
  test.each([...cases, ...nested])("$path, $form", { timeout: 120_000, retry: 2 }, async ({ path, form }) => {
    const fleet = fleetWith({ n1: neuronUrl }, [{ id: "org/a" }], { limits: { body_mb: 32 } });
    const gateway = await gatewayFor(fleet);
    const client = start("client-process", gateway.address, path, form, String(MIB));
    await line(client);
    const turns = watchTurns();
    const answer = line(client);
    client.stdin.end();
    const status = Number(await answer);
    expect({ status, longestMs: turns() }).toEqual({
      status: statuses.get(`${form} ${path}`) ?? 200,
      longestMs: expect.toSatisfy((ms: number) => ms <= LONGEST_TURN_MS) as number,
    });
  });
});
