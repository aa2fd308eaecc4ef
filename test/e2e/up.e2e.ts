import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CortexProcess, freePort, freePortsInARow, isAlive, runCortex } from "../support/cortex-process.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { residentModels } from "../support/fleet/running-fleet.ts";

async function portFlags() {
  const [gateway, metrics, neuron] = [await freePort(), await freePort(), await freePort()];
  const flags = [
    "--gateway-port",
    String(gateway),
    "--metrics-port",
    String(metrics),
    "--neuron-port",
    String(neuron),
  ];
  return { gateway, neuron, flags };
}

test("one command: repository, plan, apply, an answer in words, a tool call, and how to go on; Ctrl-C leaves nothing", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const { gateway, neuron, flags } = await portFlags();
  await using up = new CortexProcess(["up", ...flags], { environment });
  await up.waitFor(/cortex is up/);

  expect(up.stdout).toMatch(/fleet repository .*demo-fleet \(made now\)/);
  expect(up.stdout).toContain("Plan: 1 to load");
  expect(up.stdout).toMatch(/you\s+What is cortex\?\nmodel\s+.*cortex/);
  expect(up.stdout).toMatch(/calls get_weather\(\{"city": ?"Lisbon"\}\)/);
  expect(up.stdout).toMatch(/first after \d+ ms, then \d+ tokens\/s/);
  const commit = await git(join(directory.path, "demo-fleet"), "rev-parse", "--short=7", "HEAD");
  expect(up.stdout).toContain(commit);

  const connect = ["connect", "--check", "--gateway", `http://127.0.0.1:${gateway}`];
  const check = await runCortex(connect, { environment });
  expect(check.code, check.stdout + check.stderr).toBe(0);
  expect(check.stdout).not.toMatch(/failed|skipped/);
  const status = await runCortex(["status"], { environment, cwd: directory.path });
  expect(status.stdout).toMatch(/cortex\/demo\s+resident\s+1\/1/);

  const pids = (await residentModels(`http://127.0.0.1:${neuron}`)).flatMap(({ pid }) =>
    pid === null ? [] : [pid],
  );
  expect(pids).toHaveLength(1);
  const startedMs = performance.now();
  expect(await up.stop("SIGINT")).toEqual({ code: 0, signal: null });
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("files that are edited while it is up are taken, broken ones are not and it says so", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const { gateway, flags } = await portFlags();
  await using up = new CortexProcess(["up", ...flags], { environment });
  await up.waitFor(/cortex is up/);
  const models = join(directory.path, "demo-fleet", "models.toml");
  const text = await readFile(models, "utf8");
  await writeFile(models, "[[models]]\nid = = 3\n");
  await up.waitFor(/the last good ones stay in force/);
  await writeFile(models, text.replace('"demo" =', '"mine" ='));
  const named = async (model: string) => {
    const body = JSON.stringify({ model, max_tokens: 1, messages: [{ role: "user", content: "hi" }] });
    const headers = { "content-type": "application/json" };
    const url = `http://127.0.0.1:${gateway}/v1/chat/completions`;
    return (await fetch(url, { method: "POST", headers, body })).status;
  };
  await expect.poll(() => named("mine"), { timeout: 10_000 }).toBe(200);
  expect(await named("demo")).toBe(404);
});

test("a second time the repository is used as its owner left it, and JSON is one event a line", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const { flags } = await portFlags();
  const first = await runCortex(["up", "--once", ...flags], { environment });
  expect(first.code, first.stderr).toBe(0);

  const models = join(directory.path, "demo-fleet", "models.toml");
  const edited = (await readFile(models, "utf8")).replace("parallel = 4", "parallel = 2 # mine");
  await writeFile(models, edited);
  const second = await runCortex(["up", "--once", "--json"], { environment });
  expect(second.code, second.stdout).toBe(0);
  expect(await readFile(models, "utf8")).toBe(edited);
  const events = second.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events[0]).toMatchObject({ type: "repository", created: false });
  expect(events.find(({ type }) => type === "plan")).toMatchObject({
    plan: { revision: { dirty: true }, changes: [{ spec: { parallel: 2 } }] },
  });
  expect(events.filter(({ type }) => type === "answer")).toHaveLength(2);
});

test("a taken port stops everything that was started, with the address and the next step", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const { gateway, flags } = await portFlags();
  await using other = new CortexProcess(["neuron", "--port", String(gateway)], { environment });
  await other.waitFor(/listening/);
  const up = await runCortex(["up", ...flags], { environment });
  expect(up.code).toBe(69);
  expect(up.stderr).toContain(`127.0.0.1:${gateway}`);
  expect(up.stderr).toContain("Next:");
  await other.stop();
});

test("--help shows examples within a quarter of a second, without loading an engine", async () => {
  const startedMs = performance.now();
  const help = await runCortex(["--help"]);
  const tookMs = performance.now() - startedMs;
  expect(help.code).toBe(0);
  for (const command of ["up", "neuron", "serve", "plan", "apply", "validate", "status", "connect"]) {
    expect(help.stdout).toContain(command);
  }
  // The promise is 250 ms on a quiet machine; on a busy one only the order of magnitude can be asserted.
  expect(tookMs).toBeLessThan(2500);
});

test("a fleet that is not there: three machines by their names and cards, plainly simulated, models placed over them", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  // The neurons take three ports in a row.
  const neuron = await freePortsInARow(3);
  const flags = ["--gateway-port", String(await freePort()), "--metrics-port", String(await freePort())];
  await using up = new CortexProcess(
    ["up", "--simulate", "canonical", ...flags, "--neuron-port", String(neuron)],
    {
      environment,
    },
  );
  await up.waitFor(/cortex is up/);
  expect(up.stdout).toContain("beast: RTX 5090, simulated");
  expect(up.stdout).toContain("quadbrat: RTX 3060, simulated");

  const status = await runCortex(["status"], { environment, cwd: join(directory.path, "canonical-fleet") });
  expect(status.stdout).toMatch(/example\/flagship-70b\s+resident\s+1\/1/);
  const beast = await residentModels(`http://127.0.0.1:${neuron}`);
  expect(beast.find(({ id }) => id === "example/flagship-70b")).toMatchObject({
    status: "loaded",
    devices: [0, 1],
    vram_used_mb: 45_056,
  });
  const plan = await runCortex(["plan", "--config", join(directory.path, "canonical-fleet")], {
    environment,
  });
  expect(plan.stdout).toContain("No changes");
  expect(await up.stop("SIGINT")).toEqual({ code: 0, signal: null });
  expect(beast.flatMap(({ pid }) => (pid === null ? [] : [pid])).filter(isAlive)).toEqual([]);
});

test("a fleet that is not there, with faults: what they cost is told, and the rest stays up", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const script = join(directory.path, "faults.toml");
  await writeFile(script, '[neurons.beast]\ndriver_mismatch = "Driver/library version mismatch"\n');
  const neuron = String(await freePortsInARow(3));
  const ports = ["--gateway-port", String(await freePort()), "--metrics-port", String(await freePort())];
  const flags = ["up", "--simulate", "canonical", ...ports, "--neuron-port", neuron, "--script"];
  const wrong = await runCortex([...flags, join(directory.path, "none.toml")], { environment });
  expect(wrong).toMatchObject({ code: 64, stderr: expect.stringContaining("cannot be read") as string });
  await using up = new CortexProcess([...flags, script], { environment });
  await up.waitFor(/cortex is up/);
  expect(up.stdout).not.toContain("beast: RTX 5090");
  expect(up.stdout).toContain("benjy: RTX 4090, simulated");
  const status = await runCortex(["status"], { environment, cwd: join(directory.path, "canonical-fleet") });
  expect(status.stdout).toContain("no CUDA: Driver/library version mismatch");
  expect(status.stdout).not.toMatch(/example\/flagship-70b\s+resident\s+1\/1/);
  expect(status.stdout).toMatch(/example\/small-8b\s+resident\s+1\/1/);
  expect(await up.stop("SIGINT")).toEqual({ code: 0, signal: null });
});
