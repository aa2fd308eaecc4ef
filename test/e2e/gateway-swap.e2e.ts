import { execFile } from "node:child_process";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { residentModels, startFleet } from "../support/fleet/running-fleet.ts";

const run = promisify(execFile);

/** As a person would: curl, and what it prints. */
async function curl(url: string, body: unknown): Promise<{ readonly status: string; readonly text: string }> {
  const { stdout } = await run("curl", [
    "-sS",
    "--max-time",
    "50",
    "-w",
    "\\n%{http_code}",
    "-H",
    "content-type: application/json",
    "-d",
    JSON.stringify(body),
    url,
  ]);
  const cut = stdout.lastIndexOf("\n");
  return { status: stdout.slice(cut + 1), text: stdout.slice(0, cut) };
}

test("two real models with memory for one, asked in turn and at once, are both served", async () => {
  await using store = await temporaryDirectory();
  for (const name of ["left", "right"]) {
    await copyFile(`${shippedModelsDirectory()}cortex-demo.gguf`, join(store.path, `${name}.gguf`));
  }
  await using fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: join(store.path, "left.gguf"),
    neuronFlags: ["--memory-limit", "32"],
    models: ["left", "right"]
      .map((name) => `[[models]]\nid = "${name}"\nsource = "${name}"\nvram_mb = 30\nparallel = 1\n`)
      .join("\n"),
  });
  const ask = (model: string) =>
    curl(`${fleet.gatewayUrl}/v1/chat/completions`, {
      model,
      messages: [{ role: "user", content: "hello" }],
      max_tokens: 4,
    });
  for (const model of ["left", "right", "left"]) {
    const { status, text } = await ask(model);
    expect([status, text]).toEqual(["200", expect.stringContaining(`"model":"${model}"`)]);
    const resident = await residentModels(fleet.neuronUrls["local"] ?? "");
    expect(resident.map(({ id, status: state }) => [id, state])).toEqual([[model, "loaded"]]);
  }
  const both = await Promise.all(["left", "right", "left", "right"].map(ask));
  expect(both.map(({ status }) => status)).toEqual(["200", "200", "200", "200"]);
  const metrics = await (await fetch(fleet.metricsUrl)).text();
  expect(metrics).toMatch(/cortex_evictions_total\{model="left",node="local",reason="swap"\} [1-9]/);
  expect(metrics).toMatch(/cortex_evictions_total\{model="right",node="local",reason="swap"\} [1-9]/);
});
