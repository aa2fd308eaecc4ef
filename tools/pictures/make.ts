import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright-core";
import { findChromium } from "../../test/support/browser/find-chromium.ts";
import { CortexProcess, freePort, freePortsInARow, runCortex } from "../../test/support/cortex-process.ts";
import { git, temporaryDirectory } from "../../test/support/fleet/fleet-on-disk.ts";
import { Terminal } from "../../test/support/terminal.ts";
import { terminalSvg } from "./terminal-svg.ts";

/*
 * The pictures of README.md: a simulated fleet with some traffic, its screens by tmux as SVG, its page by Chromium as PNG.
 * `npm run pictures` makes them anew.
 */

const folder = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));
const MOST_PNG_BYTES = 150_000;

/** Comes when it is asked for, and leaves again. */
const ON_DEMAND = `
[[models]]
id = "example/helper-4b"
source = "hf:example/helper-4b:Q4_K_M"
vram_mb = 4096
`;

/** A model more, beside a machine that goes out of service. */
const CHANGE = `
[[models]]
id = "example/writer-8b"
source = "hf:example/writer-8b:Q6_K"
vram_mb = 9216
replicas = 1
`;

await mkdir(folder, { recursive: true });
await using home = await temporaryDirectory();
const directory = join(home.path, "fleet");
const environment = { HOME: home.path, CORTEX_DATA_DIR: join(home.path, "data"), LANG: "C.UTF-8" };
const [gatewayPort, metricsPort, neuronPort] = [await freePort(), await freePort(), await freePortsInARow(3)];
const gateway = `http://127.0.0.1:${gatewayPort}`;

const upWords = [
  ...["up", "--simulate", "canonical", "--directory", directory],
  ...["--gateway-port", String(gatewayPort), "--metrics-port", String(metricsPort)],
  ...["--neuron-port", String(neuronPort)],
];
// Makes the repository, which is then ours to change.
await runCortex([...upWords, "--once"], { environment });
await edit("models.toml", (text) => `${text}${ON_DEMAND}`);
await git(directory, "commit", "--quiet", "--all", "--message", "A helper on demand");
const up = new CortexProcess(upWords, { environment });
const traffic: CortexProcess[] = [];
try {
  await up.waitFor(/cortex is up/);
  for (const [model, rate] of [
    ["cortex/demo", "1.5"],
    ["example/coder-30b", "0.8"],
    ["example/flagship-70b", "0.5"],
  ] as const) {
    const flags = ["--model", model, "--rate", rate, "--requests", "400", "--max-tokens", "24"];
    traffic.push(new CortexProcess(["bench", gateway, ...flags], { environment }));
  }
  await drawLive();
  await drawChange();
} finally {
  for (const load of traffic) await load.stop("SIGKILL");
  await up.stop("SIGTERM");
}

interface Scene {
  readonly name: string;
  readonly title: string;
  readonly columns: number;
  readonly rows: number;
  /** The first line that is shown. */
  readonly from?: RegExp;
}

async function keep(terminal: Terminal, { name, title, columns, from }: Scene): Promise<void> {
  const screen = (await terminal.styledScreen()).replaceAll(`${home.path}/`, "").split("\n");
  const first = from === undefined ? 0 : screen.findIndex((line) => from.test(line));
  const shown = screen.slice(Math.max(0, first)).filter((line) => !line.startsWith("ended with"));
  await writeFile(`${folder}${name}.svg`, terminalSvg(shown.join("\n"), { title, columns }));
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const path = join(directory, file);
  await writeFile(path, change(await readFile(path, "utf8")));
}

async function drawChange(): Promise<void> {
  await edit("models.toml", (text) => `${text}${CHANGE}`);
  await edit("fleet.toml", (text) => text.replace(/^name = "quadbrat".*$/m, "$&\ndrain = true"));
  await drawPlan();
  const scene = { name: "apply", title: "cortex apply", columns: 100, rows: 60, from: /Placement:/ };
  await using terminal = await Terminal.open(["apply", "--yes", "--config", directory], {
    ...scene,
    environment,
  });
  await terminal.shows(/[4-8]\d %/);
  await keep(terminal, scene);
  await terminal.shows(/Applied \d/);
}

async function drawPlan(): Promise<void> {
  const scene = { name: "plan", title: "cortex plan", columns: 100, rows: 60 };
  const flags = ["--gateway", gateway, "--metrics-url", `http://127.0.0.1:${metricsPort}/metrics`];
  await using terminal = await Terminal.open(["plan", "--config", directory, ...flags], {
    ...scene,
    environment,
  });
  await terminal.shows(/ended with 0/);
  await keep(terminal, scene);
}

/** Screen and page side by side, while somebody asks for a model that is not loaded. */
async function drawLive(): Promise<void> {
  const scene = { name: "top", title: "cortex top", columns: 118, rows: 27 };
  await using terminal = await Terminal.open(["top", "--gateway", gateway, "--config", directory], {
    ...scene,
    environment,
  });
  await terminal.shows(/flagship-70b +serving/);
  const executablePath = findChromium();
  const browser =
    executablePath === undefined
      ? undefined
      : await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser?.newPage({ viewport: { width: 1180, height: 780 } });
    await page?.goto(`${gateway}/ui`);
    await pause(8000);
    await fetch(`${gateway}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "example/helper-4b", messages: [{ role: "user", content: "Hello" }] }),
    });
    // The sparklines want a while.
    await pause(9000);
    await keep(terminal, scene);
    if (page !== undefined) await keepPage(page);
  } finally {
    await browser?.close();
  }
  await terminal.press("q");
}

async function keepPage(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const picture = await page.screenshot({ type: "png" });
    if (picture.length > MOST_PNG_BYTES) throw new Error(`page-${colorScheme}: ${picture.length} bytes`);
    await writeFile(`${folder}page-${colorScheme}.png`, picture);
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}
