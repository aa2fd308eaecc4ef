import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CortexProcess, runCortex } from "../../support/cortex-process.ts";
import {
  applyFleet,
  residentModels,
  sourceOf,
  startFleet,
  type RunningFleet,
} from "../../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";
import { hasTmux, Terminal, type TerminalOptions } from "../../support/terminal.ts";

const SMALL = { columns: 80, rows: 24 };
const LARGE = { columns: 200, rows: 60 };

let fleet: RunningFleet;

beforeAll(async () => {
  const modelPath = await tinyModelFile();
  const source = sourceOf(modelPath);
  const block = (id: string, rest: string): string =>
    `[[models]]\nid = "${id}"\nsource = "${source}"\n${rest}\n`;
  fleet = await startFleet({
    neuronNames: ["beast", "benjy"],
    modelPath,
    neuronFlags: ["--simulate", "2x32GiB RTX 5090"],
    models: [
      block("org/flagship-70b", 'replicas = 1\nmin_devices = 2\nvram_mb = 45056\npinned_on = ["beast"]'),
      block("org/coder-30b", 'replicas = 1\nvram_mb = 18432\npinned_on = ["benjy"]'),
      block("org/small-8b", "vram_mb = 7168"),
    ].join("\n"),
  });
  await applyFleet(fleet);
}, 90_000);

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const openTop = (options: TerminalOptions): Promise<Terminal> =>
  Terminal.open(["top", "--gateway", fleet.gatewayUrl, "--config", fleet.directory], options);

/** Without what is different each time: the hour, revisions, ports, and for how long something has been so. */
const settled = (screen: string): string =>
  screen
    .replaceAll(/\d\d:\d\d:\d\d/g, "hh:mm:ss")
    .replaceAll(/(rev |declared )[0-9a-f]{7}\b/g, "$1a1b2c3d")
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:12345")
    .replaceAll(/up \d+ [smh]/g, "up 9 s")
    .replaceAll(/seen {6}.*$/gm, "seen      now")
    .replaceAll(/generation \d+/g, "generation 7")
    .replaceAll("▁", " ")
    .replaceAll(/ +$/gm, "");

describe.skipIf(!hasTmux)("cortex top in a terminal", () => {
  test.each([
    ["80x24", SMALL],
    ["200x60", LARGE],
  ])("at %s: the panes, a neuron, a model, help", async (name, size) => {
    await using terminal = await openTop(size);
    const kept = (screen: string, of: string) =>
      expect(settled(screen)).toMatchFileSnapshot(`screens/top-${of}-${name}.txt`);
    await kept(await terminal.shows(/in sync[\s\S]*flagship-70b +serving/), "panes");
    await terminal.press("1", "Enter");
    await kept(await terminal.shows(/neuron beast[\s\S]*Copies/), "neuron");
    await terminal.press("Escape");
    await terminal.shows(/models 3/);
    await terminal.press("2", "Enter");
    await kept(await terminal.shows(/model org\/coder-30b[\s\S]*Copies/), "model");
    await terminal.press("?");
    await kept(await terminal.shows(/Moving/), "help");
    await terminal.press("q");
    await terminal.shows(/ended with 0/);
  });

  test("the plan of the fleet files, and why a model is where it is", async () => {
    await using terminal = await openTop(SMALL);
    await terminal.shows(/in sync[\s\S]*flagship-70b +serving/);
    await terminal.press("p");
    await terminal.shows(/plan of the fleet files[\s\S]*No changes/);
    await terminal.press("Escape");
    await terminal.shows(/models 3/);
    await terminal.press("w");
    expect(await terminal.shows(/its copy has a place/)).toContain("why org/coder-30b");
  });

  test("drain, resume, load and unload by hand: asked for first, done by the neuron, told as drift", async () => {
    await using terminal = await openTop(SMALL);
    await terminal.shows(/in sync[\s\S]*flagship-70b +serving/);
    await terminal.press("1", "d");
    await expect(settled(await terminal.shows(/drain beast\?/))).toMatchFileSnapshot(
      "screens/top-question-80x24.txt",
    );
    await terminal.press("y");
    await terminal.shows(/drift 1[\s\S]*beast +draining[\s\S]*drain beast: it takes no new work \(drift\)/);
    await terminal.press("d", "y");
    await terminal.shows(/beast +ready[\s\S]*takes work again/);
    await terminal.press("2", "G", "l");
    await terminal.shows(/load org\/small-8b on/);
    await terminal.press("y");
    await terminal.shows(/small-8b +serving/);
    await terminal.shows(/loaded on b\w+, by hand/);
    const models = await Promise.all(Object.values(fleet.neuronUrls).map(residentModels));
    const loaded = models.flat().find(({ id }) => id === "org/small-8b");
    expect(loaded?.origin).toEqual({ kind: "manual" });
    await terminal.press("u");
    await terminal.shows(/unload org\/small-8b on/);
    await terminal.press("y");
    await terminal.shows(/small-8b +cold/);
  });

  test("without colour and without Unicode it is ASCII, and another size is drawn anew", async () => {
    await using terminal = await openTop({ ...SMALL, environment: { LANG: "C", NO_COLOR: "1" } });
    const screen = await terminal.shows(/in sync[\s\S]*flagship-70b +serving/);
    // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
    expect(screen).toMatch(/^[\x00-\x7F]*$/);
    await terminal.resize(60, 16);
    const smaller = await terminal.shows(/NEURON +STATE +DEV +MEMORY +USED +BUSY$/m);
    expect(Math.max(...smaller.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(60);
  });
});

describe("cortex top without a terminal", () => {
  test("lines, and with --json the events themselves", async () => {
    await using lines = new CortexProcess(["top", "--gateway", fleet.gatewayUrl]);
    await lines.waitFor(
      /^\d{4}-\S+Z {2}fleet \S+ {2}ok, 2 of 2 neurons answer, 2 models loaded\n\S+ {2}traffic {2}/,
    );
    expect(await lines.stop("SIGINT")).toMatchObject({ code: 0 });
    await using events = new CortexProcess(["top", "--gateway", fleet.gatewayUrl, "--json"]);
    await events.waitFor(/\n/);
    await events.stop("SIGINT");
    expect(JSON.parse(events.stdout.split("\n")[0] ?? "")).toMatchObject({
      kind: "snapshot-taken",
      state: { health: { status: "ok" } },
    });
    const nobody = await runCortex(["top", "--gateway", "http://127.0.0.1:9"]);
    expect(nobody.code).not.toBe(0);
    expect(nobody.stderr).toContain("does not answer");
  });
});

test.skipIf(!hasTmux)("a gateway that stops is said; when it is back, so is the screen", async () => {
  await using terminal = await openTop(SMALL);
  await terminal.shows(/in sync[\s\S]*flagship-70b +serving/);
  await fleet.gateway.stop("SIGTERM");
  await terminal.shows(/no events since \d\d:\d\d:\d\d, reconnecting/);
  expect(await terminal.screen()).toMatch(/beast +ready/);
  await using again = new CortexProcess(["serve", "--config", fleet.directory]);
  await again.waitFor(/listening/);
  await terminal.shows(/its events flow again/);
  await again.stop("SIGTERM");
});
