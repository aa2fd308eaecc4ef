import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { CortexProcess, freePort } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { applyFleet, type RunningFleet, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { findRedisServer } from "../support/redis/find-redis-server.ts";
import { RedisServer } from "../support/redis/redis-server.ts";

const SECRETS = { ci: "sk-cortex-of-the-pipeline", crash: "sk-cortex-of-the-crash", ops: "sk-cortex-of-ops" };
const CAP = 2000;

interface Usage {
  readonly rows: readonly {
    readonly key: string;
    readonly requests: number;
    readonly cut: number;
    readonly completion_tokens: number;
  }[];
  readonly keys: readonly {
    readonly id: string;
    readonly spent_tokens: number;
    readonly reserved_tokens: number;
  }[];
}

async function usageAt(url: string): Promise<Usage> {
  const response = await fetch(`${url}/usage`, { headers: { authorization: `Bearer ${SECRETS.ops}` } });
  return (await response.json()) as Usage;
}

const BODY = { model: "test/tiny", messages: [{ role: "user" as const, content: "Go." }], temperature: 0 };

const keyBlock = (id: keyof typeof SECRETS, rest: string): string =>
  `[[keys]]\nid = "${id}"\nhash = "${hashOfSecret(SECRETS[id])}"\n${rest}\n`;

/** A fleet over the real engine, and a second gateway beside its own. */
class LedgerFleet {
  readonly fleet: RunningFleet;
  readonly #environment: Readonly<Record<string, string>>;
  second: CortexProcess | null = null;
  readonly secondUrl: string;
  readonly #ports: { readonly api: number; readonly metrics: number };

  private constructor(
    fleet: RunningFleet,
    environment: Record<string, string>,
    ports: { api: number; metrics: number },
  ) {
    this.fleet = fleet;
    this.#environment = environment;
    this.#ports = ports;
    this.secondUrl = `http://127.0.0.1:${ports.api}`;
  }

  static async start(ledger: string): Promise<LedgerFleet> {
    const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 16_384 });
    const fleet = await startFleet({
      neuronNames: ["local"],
      modelPath,
      models: `[[models]]
id = "test/tiny"
source = "${sourceOf(modelPath)}"
replicas = 1
parallel = 4

${keyBlock("ci", `hard_cap = ${CAP}`)}
${keyBlock("crash", "hard_cap = 20_000")}
${keyBlock("ops", 'role = "admin"')}
${ledger}
`,
    });
    await applyFleet(fleet);
    const ports = { api: await freePort(), metrics: await freePort() };
    return new LedgerFleet(fleet, { CORTEX_DATA_DIR: `${fleet.directory}/.data` }, ports);
  }

  async startSecond(more: readonly string[] = []): Promise<void> {
    this.second = new CortexProcess(["serve", "--config", this.fleet.directory, ...more], {
      environment: {
        ...this.#environment,
        CORTEX_GATEWAY__LISTEN: `127.0.0.1:${this.#ports.api}`,
        CORTEX_GATEWAY__METRICS_LISTEN: `127.0.0.1:${this.#ports.metrics}`,
      },
    });
    await this.second.waitFor(/listening/);
    await eventually(async () => {
      await new OpenAI({
        baseURL: `${this.secondUrl}/v1`,
        apiKey: SECRETS.ops,
        maxRetries: 0,
      }).models.retrieve(BODY.model);
    });
  }

  clientOf(url: string, key: keyof typeof SECRETS): OpenAI {
    return new OpenAI({ baseURL: `${url}/v1`, apiKey: SECRETS[key], maxRetries: 0 });
  }

  async stop(): Promise<void> {
    await this.second?.stop("SIGTERM");
    await this.fleet[Symbol.asyncDispose]();
  }
}

/** Streams until `count` pieces have come, then kills the gateway under it; how many had come. */
async function killUnderStream(client: OpenAI, gateway: CortexProcess): Promise<number> {
  const stream = await client.chat.completions.create({ ...BODY, max_tokens: 12_000, stream: true });
  let pieces = 0;
  const startedAtMs = performance.now();
  try {
    for await (const piece of stream) {
      pieces += piece.choices[0]?.delta.content === undefined ? 0 : 1;
      // Two looks of the ledger at least: it is told of what is under way every second.
      if (performance.now() - startedAtMs > 2200) {
        await gateway.stop("SIGKILL");
        return pieces;
      }
    }
  } catch {
    return pieces;
  }
  throw new Error(`the answer was over before the kill: ${pieces} pieces`);
}

const charged = async (url: string): Promise<number> => {
  const { rows } = await usageAt(url);
  return rows.find(({ key }) => key === "crash")?.completion_tokens ?? 0;
};

const found = await findRedisServer();
const why = found.kind === "found" ? "" : ` (left out: ${found.reason})`;

describe.skipIf(found.kind === "missing")(`two gateways with one ledger in Redis${why}`, () => {
  let redis: RedisServer;
  let two: LedgerFleet;
  beforeAll(async () => {
    redis = await RedisServer.start(found.kind === "found" ? found.path : "");
    two = await LedgerFleet.start(`[ledger]\nurl = "${redis.url}"\n`);
    // Its workers hold no ledger: what they use is kept in Redis by their owner.
    await two.startSecond(["--workers", "2"]);
  });
  afterAll(async () => {
    await two.stop();
    await redis.stop();
  });

  test("clients at both spend one cap, to its end and no further", async () => {
    const clients = [two.fleet.gatewayUrl, two.secondUrl].map((url) => two.clientOf(url, "ci"));
    let received = 0;
    const spendAll = async (client: OpenAI): Promise<string> => {
      for (;;) {
        try {
          const { usage } = await client.chat.completions.create({ ...BODY, max_tokens: 40 });
          received += usage?.total_tokens ?? 0;
        } catch (thrown) {
          const code = thrown instanceof OpenAI.APIError ? String(thrown.code) : String(thrown);
          // Only what others have under way is in the way: it may give some of it back.
          if (code !== "rate_limit_exceeded") return code;
        }
      }
    };
    const ends = await Promise.all([...clients, ...clients].map(spendAll));
    expect(new Set(ends)).toEqual(new Set(["insufficient_quota"]));
    expect(received).toBeLessThanOrEqual(CAP);
    expect(received).toBeGreaterThan(CAP - 200);
    const seen = await Promise.all([two.fleet.gatewayUrl, two.secondUrl].map(usageAt));
    expect(seen[0]?.keys).toEqual(seen[1]?.keys);
    expect(seen[0]?.keys.find(({ id }) => id === "ci")).toMatchObject({
      spent_tokens: received,
      reserved_tokens: 0,
    });
  });

  test("a gateway is killed under a stream: the other one charges what came of it, and nothing stays reserved", async () => {
    const { second } = two;
    if (second === null) throw new Error("no second gateway");
    const pieces = await killUnderStream(two.clientOf(two.secondUrl, "crash"), second);
    const url = two.fleet.gatewayUrl;
    await eventually(async () => {
      expect(await charged(url)).toBeGreaterThan(0);
    });
    // By what was told last, up to a second before.
    expect(await charged(url)).toBeLessThanOrEqual(pieces + 2);
    expect(await charged(url)).toBeGreaterThan(pieces / 4);
    const { rows, keys } = await usageAt(url);
    expect(rows.find(({ key }) => key === "crash")).toMatchObject({ requests: 1, cut: 1 });
    expect(keys.find(({ id }) => id === "crash")).toMatchObject({ reserved_tokens: 0 });
  });
});

describe("one gateway with its ledger in a file", () => {
  let one: LedgerFleet;
  beforeAll(async () => {
    one = await LedgerFleet.start("");
    // It would see at once that the other one is gone, and charge for it.
    await one.fleet.gateway.stop("SIGTERM");
    await one.startSecond();
  });
  afterAll(async () => {
    await one.stop();
  });

  test("it is killed under a stream: at its next start what came of it is charged, once", async () => {
    const { second } = one;
    if (second === null) throw new Error("no second gateway");
    const pieces = await killUnderStream(one.clientOf(one.secondUrl, "crash"), second);
    await one.startSecond();
    const atStart = await charged(one.secondUrl);
    expect(atStart).toBeLessThanOrEqual(pieces + 2);
    expect(atStart).toBeGreaterThan(pieces / 4);
    expect((await usageAt(one.secondUrl)).keys.find(({ id }) => id === "crash")).toMatchObject({
      reserved_tokens: 0,
    });
    await one.second?.stop("SIGKILL");
    await one.startSecond();
    expect(await charged(one.secondUrl)).toBe(atStart);
  });
});
