import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StatusReport } from "../../../src/protocol/status-report.ts";
import { CortexProcess, runCortex } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { applyFleet, sourceOf, startFleet, type RunningFleet } from "../../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

let fleet: RunningFleet;

beforeAll(async () => {
  const modelPath = await tinyModelFile();
  fleet = await startFleet({
    neuronNames: ["beast", "benjy"],
    modelPath,
    models: `[[models]]\nid = "org/here"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\npinned_on = ["beast"]\n\n[[models]]\nid = "org/cold"\nsource = "${sourceOf(modelPath)}"\n`,
  });
  await applyFleet(fleet);
}, 60_000);

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const told = async (...commandLine: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await runCortex(commandLine);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
};
const coldCopies = (line: string): number =>
  (JSON.parse(line) as StatusReport).models.find(({ id }) => id === "org/cold")?.loaded_on.length ?? 0;
const gateway = (): string[] => ["--gateway", fleet.gatewayUrl];
const asJson = async (...commandLine: readonly string[]): Promise<unknown> =>
  JSON.parse(await told(...commandLine, "--json"));

describe("the running fleet as tables", () => {
  test("cortex models", async () => {
    const lines = (await told("models", ...gateway())).split("\n");
    expect(lines[0]).toMatch(/^MODEL +STATE +COPIES +ON +SLOTS +QUEUE +TOK\/S +MEMORY +LAST +WHY$/);
    expect(lines[1]).toMatch(/^org\/cold +cold +0\/0 .*on demand, nobody asks$/);
    expect(lines[2]).toMatch(/^org\/here +serving +1\/1 +beast +0\/\d.*declared [0-9a-f]{7}$/);
    expect(await asJson("models", ...gateway())).toMatchObject({
      models: [
        { id: "org/cold", state: "cold", declared: 0, copies: [] },
        { id: "org/here", state: "serving", declared: 1, copies: [{ node: "beast", kind: "resident" }] },
      ],
    });
  });

  test("cortex neurons", async () => {
    const lines = (await told("neurons", ...gateway())).split("\n");
    expect(lines[1]).toMatch(/^beast +ready +cpu:0 .* 1 +0 +0 +\d+ s$/);
    expect(lines[2]).toMatch(/^benjy +ready +cpu:0 .* 0 +0 +0 +\d+ s$/);
  });

  test("cortex jobs", async () => {
    const config = ["--config", fleet.directory];
    expect((await told("jobs", ...config)).split("\n")[1]).toMatch(/ beast +load +org\/here +done /);
    expect(await asJson("jobs", ...config, "--on", "benjy")).toMatchObject({ jobs: [], silent: [] });
    const unknown = await runCortex(["jobs", ...config, "--on", "beats"]);
    expect(unknown).toMatchObject({ code: 64 });
    expect(unknown.stderr).toContain("did you mean beast?");
  });

  test("--watch --json prints a line each time until Ctrl-C", async () => {
    await using watching = new CortexProcess([
      "models",
      ...gateway(),
      "--watch",
      "--json",
      "--interval",
      "0.2s",
    ]);
    await watching.waitFor(/\n.*\n/);
    expect(await watching.stop("SIGINT")).toEqual({ code: 0, signal: null });
    const [first = "", second = ""] = watching.stdout.split("\n");
    expect([JSON.parse(first), JSON.parse(second)]).toMatchObject([
      { models: [{}, {}] },
      { models: [{}, {}] },
    ]);
  });

  test("--watch without a terminal prints what is new, and a key that is refused is an error", async () => {
    await using watching = new CortexProcess(["usage", ...gateway(), "--watch", "--interval", "0.2s"]);
    await watching.waitFor(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nNothing was used/);
    await watching.stop("SIGINT");
    const nobody = await runCortex(["neurons", "--watch", "--gateway", "http://127.0.0.1:9"]);
    expect(nobody.code).not.toBe(0);
    expect(nobody.stderr).toContain("does not answer");
  });

  test("cortex status --watch is fed by what the gateway tells", async () => {
    const config = ["--config", fleet.directory];
    await using watching = new CortexProcess(["status", ...config, "--watch", "--json", "--interval", "1h"]);
    await watching.waitFor(/\n/);
    const asked = { model: "org/cold", messages: [{ role: "user", content: "hi" }], max_tokens: 1 };
    const headers = { "content-type": "application/json" };
    const url = `${fleet.gatewayUrl}/v1/chat/completions`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(asked) });
    expect(answer.status).toBe(200);
    await eventually(() => {
      const lines = watching.stdout.split("\n").slice(0, -1);
      expect(coldCopies(lines.at(0) ?? "")).toBe(0);
      expect(coldCopies(lines.at(-1) ?? "")).toBe(1);
    });
    expect(await watching.stop("SIGINT")).toEqual({ code: 0, signal: null });
  });
});
