import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  SpareProcess,
  type BlankWorker,
  type SpareProcessOptions,
} from "../../../src/neuron/launch/io/spare-process.ts";
import { workerEntryFile } from "../../../src/platform/package-paths.ts";
import { eventually } from "../../support/eventually.ts";

const processesFor = async (
  keepsOne: boolean,
  more: Partial<SpareProcessOptions> = {},
): Promise<SpareProcess> =>
  new SpareProcess({
    entry: workerEntryFile(),
    directory: await mkdtemp(join(tmpdir(), "cortex-spare-")),
    environment: { PATH: "/usr/bin", MY_API_KEY: "secret" },
    keepsOne,
    onCpuOnly: true,
    ...more,
  });

const isRunning = ({ child }: BlankWorker): boolean => {
  try {
    process.kill(child.pid ?? 0, 0);
    return true;
  } catch {
    return false;
  }
};

const gone = (blank: BlankWorker): Promise<void> =>
  eventually(() => {
    expect(isRunning(blank)).toBe(false);
  });

test("the process that is ready is taken once, and another is started for the next", async () => {
  const processes = await processesFor(true);
  processes.prepare();
  processes.prepare();
  const first = processes.take();
  const second = processes.take();
  expect(first.logPath.endsWith("/1.log")).toBe(true);
  expect(second.logPath.endsWith("/2.log")).toBe(true);
  expect([first, second].map(isRunning)).toEqual([true, true]);
  processes.close();
  // Those that were taken are others' now.
  expect([first, second].map(isRunning)).toEqual([true, true]);
  first.child.kill("SIGKILL");
  // One whose channel closes before it was told to load anything ends by itself, as after the death of its neuron.
  second.child.disconnect();
  await Promise.all([gone(first), gone(second)]);
});

test("one that died while it waited is not handed out, and its log does not stay", async () => {
  const processes = await processesFor(true);
  processes.prepare();
  const dead = processes.take();
  dead.child.kill("SIGKILL");
  await gone(dead);
  processes.prepare();
  const ready = processes.take();
  expect(isRunning(ready)).toBe(true);
  ready.child.kill("SIGKILL");
  await gone(ready);
});

test("a neuron that ends leaves none, and starts none afterwards", async () => {
  const processes = await processesFor(true);
  processes.prepare();
  const probe = processes.take();
  processes.prepare();
  processes.close();
  processes.prepare();
  const [one, two] = ["2.log", "3.log"].map((name) => probe.logPath.replace(/1\.log$/, name));
  await eventually(() => {
    expect([one, two].map((path) => existsSync(path ?? ""))).toEqual([false, false]);
  });
  probe.child.kill("SIGKILL");
  await gone(probe);
});

test("where none is kept a process starts when it is wanted", async () => {
  const processes = await processesFor(false);
  processes.prepare();
  const wanted = processes.take();
  expect(wanted.logPath.endsWith("/1.log")).toBe(true);
  wanted.child.kill("SIGKILL");
  await gone(wanted);
});

test.each([
  ["where there is no GPU, steps are computed by one thread", {}, "1"],
  ["but as many as the operator says", { environment: { UV_THREADPOOL_SIZE: "3" } }, "3"],
  ["and as many as ever where there may be a GPU", { onCpuOnly: false }, undefined],
])("%s", async (...[, more, threads]) => {
  const processes = await processesFor(false, more);
  const blank = processes.take();
  const environment = await readFile(`/proc/${blank.child.pid ?? 0}/environ`, "utf8");
  blank.child.kill("SIGKILL");
  const told = environment.split("\0").find((line) => line.startsWith("UV_THREADPOOL_SIZE="));
  expect(told?.split("=")[1]).toBe(threads);
  await gone(blank);
});
