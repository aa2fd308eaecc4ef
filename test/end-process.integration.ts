import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { endProcess, hasEnded } from "./support/end-process.ts";

test.each([
  ["by itself", "", null],
  ["by a signal", "setInterval(() => 0, 1000)", "SIGKILL"],
] as const)("a process that has ended before, %s, is not waited for", async (_how, program, signal) => {
  const child = spawn(process.execPath, ["-e", program], { stdio: "ignore" });
  const ended = once(child, "exit");
  if (signal !== null) child.kill(signal);
  await ended;
  expect(hasEnded(child)).toBe(true);
  await endProcess(child);
});

test("one that runs is told to go, and is gone then", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"], { stdio: "ignore" });
  await once(child, "spawn");
  await endProcess(child, "SIGKILL");
  expect(child.signalCode).toBe("SIGKILL");
});
