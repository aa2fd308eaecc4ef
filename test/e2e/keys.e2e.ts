import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { runCortex } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { commitFleet, fleetText, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { applyFleet, type RunningFleet, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

const SECRETS = {
  ci: "sk-cortex-of-the-pipeline",
  hasty: "sk-cortex-of-who-leaves",
  ops: "sk-cortex-of-the-operators",
};

describe("a gateway that asks for keys, over the real engine", () => {
  let fleet: RunningFleet;
  let opsKeyFile: string;
  const clientOf = (apiKey: string) =>
    new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey, maxRetries: 0 });

  beforeAll(async () => {
    const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 4096 });
    fleet = await startFleet({
      neuronNames: ["local"],
      modelPath,
      models: `[[models]]
id = "test/tiny"
source = "${sourceOf(modelPath)}"
replicas = 1
parallel = 2

[[keys]]
id = "ci"
hash = "${hashOfSecret(SECRETS.ci)}"
hard_cap = 400

[[keys]]
id = "hasty"
hash = "${hashOfSecret(SECRETS.hasty)}"

[[keys]]
id = "ops"
hash = "${hashOfSecret(SECRETS.ops)}"
role = "admin"
`,
    });
    opsKeyFile = join(fleet.directory, ".data", "ops.key");
    await writeFile(opsKeyFile, `${SECRETS.ops}\n`);
    await chmod(opsKeyFile, 0o600);
    await applyFleet(fleet);
  });

  afterAll(async () => {
    await fleet[Symbol.asyncDispose]();
  });

  interface Row {
    readonly key: string;
    readonly requests: number;
    readonly cut: number;
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
  }
  const usage = async (): Promise<readonly Row[]> => {
    const command = [
      "usage",
      "--gateway",
      fleet.gatewayUrl,
      "--api-key-file",
      opsKeyFile,
      "--by",
      "key",
      "--json",
    ];
    const { code, stdout, stderr } = await runCortex(command);
    if (code !== 0) throw new Error(stdout + stderr);
    return (JSON.parse(stdout) as { rows: Row[] }).rows;
  };

  const leaveAfter = async (
    pieces: number,
    body: Omit<OpenAI.ChatCompletionCreateParamsStreaming, "stream">,
  ): Promise<void> => {
    const leaving = await clientOf(SECRETS.hasty).chat.completions.create({ ...body, stream: true });
    let seen = 0;
    for await (const piece of leaving) {
      seen += piece.choices[0]?.delta.content === undefined ? 0 : 1;
      if (seen === pieces) break;
    }
  };

  test("usage is what the engine counted, streamed, whole, and up to where a client left", async () => {
    const client = clientOf(SECRETS.ci);
    const body = {
      model: "test/tiny",
      messages: [{ role: "user" as const, content: "Go." }],
      temperature: 0,
    };
    let told: OpenAI.CompletionUsage | undefined;
    await eventually(async () => {
      told = (await client.chat.completions.create({ ...body, max_tokens: 12 })).usage;
    });
    // It asks for no usage, and gets none; the gateway counts it all the same.
    const pieces: OpenAI.ChatCompletionChunk[] = [];
    for await (const piece of await client.chat.completions.create({
      ...body,
      max_tokens: 20,
      stream: true,
    })) {
      pieces.push(piece);
    }
    expect(pieces.filter((piece) => piece.usage != null)).toEqual([]);
    const prompt = told?.prompt_tokens ?? 0;
    expect(await usage()).toMatchObject([
      { key: "ci", requests: 2, prompt_tokens: 2 * prompt, completion_tokens: 12 + 20 },
    ]);
    // A fast machine may have said all before its client is gone: it comes again until it was not.
    await eventually(async () => {
      await leaveAfter(5, { ...body, max_tokens: 3500 });
      const row = (await usage()).find(({ key }) => key === "hasty");
      expect(row?.cut).toBeGreaterThanOrEqual(1);
      expect(row?.completion_tokens).toBeGreaterThanOrEqual(5 * (row?.requests ?? 0));
      expect(row?.completion_tokens).toBeLessThan(3500 * (row?.requests ?? 0));
    });
    await expect(client.chat.completions.create({ ...body, max_tokens: 399 })).rejects.toMatchObject({
      status: 429,
      code: "insufficient_quota",
    });
    await expect(clientOf("none").chat.completions.create(body)).rejects.toMatchObject({ status: 401 });
  });

  test("status and plan go on: what needs a key of the operators says so", async () => {
    const plan = await runCortex(["plan", "--config", fleet.directory]);
    expect(plan.stdout + plan.stderr).toContain("--api-key-file");
    const asked = ["plan", "--config", fleet.directory, "--api-key-file", opsKeyFile, "--detailed-exitcode"];
    expect(await runCortex(asked)).toMatchObject({ code: 0 });
    const check = [
      "connect",
      "test/tiny",
      "--gateway",
      fleet.gatewayUrl,
      "--check",
      "--api-key-file",
      opsKeyFile,
    ];
    expect((await runCortex(check)).stdout).toMatch(/passed\s+chat/);
  });
});

describe("cortex key", () => {
  test("a key is made, listed, revoked, and its secret is in no file", async () => {
    await using directory = await temporaryDirectory();
    const models = '# the only one\n[[models]]\nid = "m"\n';
    await commitFleet(
      directory.path,
      fleetText({ gatewayPort: 1, metricsPort: 2, neurons: { local: 3 }, models }),
    );
    const key = (...rest: string[]) => runCortex(["key", ...rest, "--config", directory.path]);
    const made = await key("create", "ci", "--model", "m", "--hard-cap", "1000", "--window-secs", "60");
    expect(made.code).toBe(0);
    // Alone, so that it can go into a file of its own.
    const [secret = ""] = /^sk-cortex-[\w-]{43}\n$/.exec(made.stdout)?.map((text) => text.trim()) ?? [];
    expect(made.stderr).toContain("shown this once");
    const text = await readFile(join(directory.path, "keys.toml"), "utf8");
    expect(text).toContain(hashOfSecret(secret));
    expect(text).not.toContain(secret);
    expect(await key("create", "ci")).toMatchObject({ code: 64 });
    await key("create", "ops", "--admin");
    const listed = (await key("ls")).stdout;
    expect(listed).toMatch(/^ci\s+client\s+m\s+1000 tokens in 1 m 0 s/m);
    expect(listed).toMatch(/^ops\s+admin\s+\*\s+none$/m);
    expect(listed).not.toContain("sha256:");
    expect((await key("revoke", "c1")).stderr).toContain("did you mean ci?");
    expect(await key("revoke", "ci")).toMatchObject({ code: 0 });
    expect((await key("ls", "--json")).stdout).not.toContain('"ci"');
    expect((await key("revoke", "ops")).stdout).toContain("It was the last one");
  });
});
