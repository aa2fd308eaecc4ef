import { fork } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { present } from "../src/core/present.ts";
import { CortexProcess, freePortsInARow, runCortex } from "./support/cortex-process.ts";

/*
 * What a start reads, counted and not timed, so that it does not creep back: a static import of something large shows
 * here. The limits are a little above what is needed; the seconds are in bench/cli.
 */

/** Runs in the process before the program: tells at its end how many files were loaded, and how many bytes they have. */
const COUNTER = `
import { registerHooks } from "node:module";
import { statSync } from "node:fs";
let files = 0, bytes = 0;
registerHooks({ load(url, context, next) {
  if (url.startsWith("file:")) { files += 1; bytes += statSync(new URL(url)).size; }
  return next(url, context);
} });
process.on("exit", () => process.stderr.write("loaded " + files + " files, " + bytes + " bytes\\n"));
`;
const counted = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(COUNTER)}` };

interface Weight {
  readonly files: number;
  readonly kilobytes: number;
}

function weightIn(stderr: string): Weight {
  const [, files = "", bytes = ""] = /loaded (\d+) files, (\d+) bytes/.exec(stderr) ?? [];
  return { files: Number.parseInt(files, 10), kilobytes: Number.parseInt(bytes, 10) / 1000 };
}

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cortex-weight-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function fleetFile(): Promise<string> {
  const first = await freePortsInARow(3);
  const path = join(directory, "fleet.toml");
  await writeFile(
    path,
    `[fleet]
name = "home"
[gateway]
listen = "127.0.0.1:${first}"
metrics_listen = "127.0.0.1:${first + 1}"
[[neurons]]
name = "local"
endpoint = "http://127.0.0.1:${first + 2}"
[[models]]
id = "cortex/demo"
source = "cortex-demo"
replicas = 0
`,
  );
  return path;
}

test.each([
  ["--version", [], { files: 8, kilobytes: 600 }],
  ["--help", [], { files: 8, kilobytes: 600 }],
  ["neuron", ["--help"], { files: 8, kilobytes: 600 }],
])("cortex %s %j reads little before it answers", async (command, more, limit) => {
  const { code, stderr } = await runCortex([command, ...more], { environment: counted });
  const { files, kilobytes } = weightIn(stderr);
  expect(code).toBe(0);
  expect(files).toBeLessThanOrEqual(limit.files);
  expect(kilobytes).toBeLessThanOrEqual(limit.kilobytes);
});

test("cortex validate reads what fleets need, and nothing of the services", async () => {
  const { code, stderr } = await runCortex(["validate", await fleetFile()], { environment: counted });
  const { files, kilobytes } = weightIn(stderr);
  expect(code).toBe(0);
  expect(files).toBeLessThanOrEqual(14);
  expect(kilobytes).toBeLessThanOrEqual(1150);
});

test.each([
  ["serve", { files: 51, kilobytes: 3200 }],
  ["neuron", { files: 50, kilobytes: 3100 }],
])("cortex %s reads no more than a service needs before it listens", async (command, limit) => {
  const config = command === "serve" ? ["--config", await fleetFile()] : ["--port", "0"];
  await using service = new CortexProcess([command, ...config], {
    environment: { ...counted, CORTEX_DATA_DIR: join(directory, command) },
  });
  await service.waitFor(/listening on/);
  expect(await service.stop()).toEqual({ code: 0, signal: null });
  const { files, kilobytes } = weightIn(service.stderr);
  expect(files).toBeLessThanOrEqual(limit.files);
  expect(kilobytes).toBeLessThanOrEqual(limit.kilobytes);
});

test("a model worker reads its program in few files, the engine's among them", async () => {
  const entry = fileURLToPath(new URL("../dist/worker/io/worker-main.js", import.meta.url));
  const worker = fork(entry, { execArgv: [counted.NODE_OPTIONS], silent: true });
  worker.stdout?.resume();
  // It ends with the one who started it.
  worker.disconnect();
  const stderr = await text(present(worker.stderr, "the pipe of a fork that is silent"));
  const { files, kilobytes } = weightIn(stderr);
  expect(files).toBeLessThanOrEqual(20);
  expect(kilobytes).toBeLessThanOrEqual(3000);
});

test("no file of the program has a letter that makes V8 keep all of it in two bytes a letter", () => {
  const files = globSync("dist/**/*.js", { exclude: ["dist/page/**"] });
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter((file) => /[^\0-\xff]/.test(readFileSync(file, "utf8")))).toEqual([]);
});
