import { createServer, type Server } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CortexProcess, freePort, runCortex } from "../support/cortex-process.ts";
import { commitFleet, fleetText, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { sourceOf } from "../support/fleet/running-fleet.ts";
import { corruptModelFile, tinyModelFile } from "../support/neuron/tiny-model.ts";

const model = (id: string, rest = "") => `[[models]]\nid = "${id}"\nsource = "x"\n${rest}`;

const fleetWith = (models: string) =>
  fleetText({ gatewayPort: 31_313, metricsPort: 31_314, neurons: { local: 13_131 }, models });

async function occupy(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: address.port, [Symbol.asyncDispose]: close };
}

test.each([
  {
    name: "bad TOML",
    text: `${fleetWith("")}\n[[models]\nid = 3\n`,
    place: /fleet\.toml:14:10/,
    words: /TOML|expected|invalid/i,
  },
  {
    name: "an unknown key",
    text: fleetWith(model("a/b", 'pinned_no = ["local"]')),
    place: /fleet\.toml:\d+:1/,
    words: /pinned_no[\s\S]*pinned_on/,
  },
  {
    name: "a duplicate id",
    text: fleetWith(model("a/b") + model("a/b")),
    place: /fleet\.toml:\d+:\d+/,
    words: /a\/b[\s\S]*(twice|already|duplicate)/i,
  },
])(
  "$name: validate, plan, apply and serve all name the place and the next step, and exit 1",
  async ({ text, place, words }) => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "fleet.toml"), text);
    for (const command of [
      ["validate", directory.path],
      ["plan", "--config", directory.path],
      ["apply", "--yes", "--config", directory.path],
      ["serve", "--config", directory.path],
    ]) {
      const result = await runCortex(command);
      const output = result.stdout + result.stderr;
      expect(result.code, output).toBe(1);
      expect(output).toMatch(place);
      expect(output).toMatch(words);
      expect(output).toMatch(/Next:|help:/i);
      expect(output).toMatch(/\nMore: cortex explain CTX\d+/);
      expect(output).not.toContain("    at ");
    }
  },
);

test("as JSON the same diagnostics are data on stdout", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(
    join(directory.path, "fleet.toml"),
    fleetWith(model("a/b", "replicaz = 1\nparallel = 0\n")),
  );
  const result = await runCortex(["validate", directory.path, "--json"]);
  expect(result.code).toBe(1);
  const report = JSON.parse(result.stdout) as {
    error: { code: string; details: { diagnostics: { line: number; code: string }[] } };
  };
  expect(report.error.code).toBe("fleet_invalid");
  expect(report.error.details.diagnostics.length).toBeGreaterThanOrEqual(2);
  for (const diagnostic of report.error.details.diagnostics) {
    expect(diagnostic.line).toBeGreaterThan(0);
    expect(diagnostic.code).toMatch(/^CTX\d{3}$/);
  }
});

test("a fleet directory that is not there", async () => {
  const result = await runCortex(["plan", "--config", "/nonexistent/fleet"]);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("/nonexistent/fleet");
  expect(result.stderr).toContain("Next:");
});

test("an unreachable neuron is a fact of the plan, by name and reason, and nothing of it is touched", async () => {
  await using directory = await temporaryDirectory();
  const port = await freePort();
  const models = model("a/b", "replicas = 1\n");
  await commitFleet(
    directory.path,
    fleetText({ gatewayPort: 31_313, metricsPort: 31_314, neurons: { local: port }, models }),
  );
  const plan = await runCortex(["plan", "--config", directory.path, "--detailed-exitcode"]);
  expect(plan.stdout).toMatch(/local/);
  expect(plan.stdout).toMatch(/unreachable|refused/i);
  // 0 would say that the fleet is as declared, and apply, which exits 1, would say that it is not.
  expect(plan.code).toBe(2);
  const apply = await runCortex(["apply", "--config", directory.path, "--yes"]);
  expect(apply.code, apply.stdout + apply.stderr).toBe(1);
  expect(apply.stdout + apply.stderr).toMatch(/local/);
  expect(apply.stderr).toContain("start the neurons that do not answer");
  const status = await runCortex(["status", "--config", directory.path]);
  expect(status.stdout).toMatch(/local[\s\S]*(unreachable|refused)/i);
});

test("a port in use: neuron and gateway name the address and exit 69", async () => {
  await using occupied = await occupy();
  const neuron = await runCortex(["neuron", "--port", String(occupied.port)]);
  expect(neuron.code, neuron.stderr).toBe(69);
  expect(neuron.stderr).toContain(`127.0.0.1:${occupied.port}`);
  expect(neuron.stderr).toContain("Next:");

  await using directory = await temporaryDirectory();
  const text = fleetText({
    gatewayPort: occupied.port,
    metricsPort: await freePort(),
    neurons: { local: await freePort() },
    models: model("a/b"),
  });
  await commitFleet(directory.path, text);
  const gateway = await runCortex(["serve", "--config", directory.path]);
  expect(gateway.code, gateway.stderr).toBe(69);
  expect(gateway.stderr).toContain(`127.0.0.1:${occupied.port}`);
});

test("a neuron on an open address without a token refuses, with the command that makes one", async () => {
  const result = await runCortex(["neuron", "--host", "0.0.0.0", "--port", String(await freePort())]);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("bind_needs_token");
  expect(result.stderr).toContain("openssl rand");
});

test.each([
  { name: "a missing model file", file: () => Promise.resolve("nowhere.gguf"), code: "source_not_found" },
  { name: "a file that is no GGUF", file: corruptModelFile, code: "model_file_invalid" },
])(
  "$name: apply fails with the neuron's own words, exit 1, and the next apply still can",
  async ({ file, code }) => {
    await using directory = await temporaryDirectory();
    // Not inside the repository: what the neuron writes there would be in the middle of a commit.
    await using data = await temporaryDirectory();
    const good = await tinyModelFile();
    const bad = await file();
    const port = await freePort();
    const neuron = new CortexProcess(["neuron", "--port", String(port), "--model-root", join(good, "..")], {
      environment: { CORTEX_DATA_DIR: data.path },
    });
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => {
      await neuron.stop();
    });
    await neuron.waitFor(/listening/);
    const fleetOf = (source: string) =>
      fleetText({
        gatewayPort: 31_313,
        metricsPort: 31_314,
        neurons: { local: port },
        models: `[[models]]\nid = "a/b"\nsource = "${source}"\nreplicas = 1\n`,
      });
    await commitFleet(directory.path, fleetOf(sourceOf(bad)));
    const failed = await runCortex(["apply", "--config", directory.path, "--yes"]);
    const output = failed.stdout + failed.stderr;
    expect(failed.code, output).toBe(1);
    expect(output).toContain(code);
    expect(output).toContain("Next:");

    await writeFile(join(directory.path, "fleet.toml"), fleetOf(sourceOf(good)));
    const mended = await runCortex(["apply", "--config", directory.path, "--yes"]);
    expect(mended.code, mended.stdout + mended.stderr).toBe(0);
  },
);

test("a misspelt command or flag exits 64 and names the right one", async () => {
  const command = await runCortex(["paln"]);
  expect(command.code).toBe(64);
  expect(command.stderr).toContain("plan");
  const flag = await runCortex(["plan", "--detailed-exit"]);
  expect(flag.code).toBe(64);
  expect(flag.stderr).toContain("--help");
});

test("codes are explained offline, as text and as JSON; what is nearly a code is guessed", async () => {
  const text = await runCortex(["explain", "CTX102", "model_not_found"]);
  expect(text).toMatchObject({ code: 0, stderr: "" });
  expect(text.stdout).toMatch(
    /^CTX102: [\s\S]*\nmodel_not_found: HTTP 404[\s\S]*docs\/errors.md#model_not_found\n$/,
  );
  const json = await runCortex(["explain", "lock_held", "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ codes: [{ code: "lock_held", error: { exitCode: 69 } }] });
  const slip = await runCortex(["explain", "modle_not_found"]);
  expect(slip).toMatchObject({ code: 64, stdout: "" });
  expect(slip.stderr).toContain("did you mean cortex explain model_not_found?");
});
