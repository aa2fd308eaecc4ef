import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";
import { expect, test } from "vitest";
import { freePort } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { serveFleet } from "../../support/git/served-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

interface Told {
  readonly path: string;
  readonly token: string | undefined;
  readonly body: { readonly state?: string; readonly text?: string; readonly description?: string };
}

/** A git host and a Slack that take everything, the first time only with a complaint. */
async function receiver() {
  const told: Told[] = [];
  let refusals = 0;
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => void chunks.push(chunk));
    incoming.on("end", () => {
      refusals += 1;
      const isFirst = refusals === 1;
      response.writeHead(isFirst ? 503 : 201).end("{}");
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Told["body"];
      if (!isFirst) told.push({ path: incoming.url ?? "", token: incoming.headers.authorization, body });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    told,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test.each([1, 2])(
  "serve --reconcile, with %i serving: the gateway serves what is true, waits while suspended, tells the host and the people, and ends as one",
  async (workers) => {
    const modelPath = await tinyModelFile();
    const block = (id: string) =>
      `[[models]]\nid = "${id}"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\ncontext = 64\n`;
    await using served = await serveFleet({ neuronNames: ["a"], modelPath, models: block("x/1") });
    await using host = await receiver();
    await using files = await temporaryDirectory();
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(files.path, name), text, { mode: 0o600 });
      return join(files.path, name);
    };
    const [port, metricsPort] = [await freePort(), await freePort()];
    const gateway = served.start(
      [
        "serve",
        "--reconcile",
        `--workers=${workers}`,
        `--config=git+${served.url}`,
        "--reconcile-listen=127.0.0.1:0",
        "--commit-status=gitea",
        `--commit-status-url=${host.url}/api/v1`,
        `--commit-status-token-file=${await file("token", "t0ken-0123456789")}`,
        `--notify-slack-file=${await file("slack", `${host.url}/slack`)}`,
      ],
      {
        CORTEX_GATEWAY__LISTEN: `127.0.0.1:${port}`,
        CORTEX_GATEWAY__METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
      },
    );
    const [, loopUrl = ""] = await gateway.waitFor(/reconciling, listening on (\S+)/);
    const loaded = async () => (await residentModels(served.fleet.neuronUrls["a"] ?? "")).map(({ id }) => id);
    const offered = async () => {
      const { data } = (await (await request(`http://127.0.0.1:${port}/v1/models`)).body.json()) as {
        readonly data: readonly { readonly id: string }[];
      };
      return data.map(({ id }) => id);
    };
    const answered = async (model: string): Promise<number> => {
      const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hi." }], max_tokens: 2 });
      const headers = { "content-type": "application/json" };
      const url = `http://127.0.0.1:${port}/v1/chat/completions`;
      const response = await request(url, { method: "POST", reset: true, headers, body });
      await response.body.dump();
      return response.statusCode;
    };
    const ready = async () => {
      const { conditions } = (await (await request(`${loopUrl}/status`)).body.json()) as {
        readonly conditions: { readonly Ready: { readonly reason: string; readonly message: string } };
      };
      return conditions.Ready;
    };
    const statusesOf = (commit: string) =>
      host.told
        .filter(
          ({ path, token }) =>
            path.endsWith(`/repos/own/fleet/statuses/${commit}`) && token === "token t0ken-0123456789",
        )
        .map(({ body }) => body.state);
    const clone = await served.clone("ann");
    await gateway.waitFor(/"reason":"Succeeded"/);
    expect(await loaded()).toEqual(["x/1"]);

    const suspend = await served.run([
      "reconcile",
      "suspend",
      "--config",
      clone,
      "--reason",
      "new cards",
      "--for",
      "2h",
    ]);
    expect(suspend.code, suspend.stderr).toBe(0);
    expect(suspend.stdout).toMatch(/^The loops of test change nothing until \S+Z; they go on looking\.$/m);
    const commit = await served.change(clone, (text) => `${text}\n${block("x/2")}`);
    gateway.signal("SIGHUP");
    await gateway.waitFor(/"reason":"Suspended"/);
    expect((await ready()).message).toMatch(
      /^[0-9a-f]{8} waits: 1 to load; suspended by ann@\S+ until \S+: new cards$/,
    );
    expect([await loaded(), await offered()]).toEqual([["x/1"], ["x/1"]]);
    await eventually(() => Promise.resolve(expect(statusesOf(commit)).toEqual(["pending"])));

    expect((await served.run(["reconcile", "resume", "--config", clone])).stdout).toContain(
      "The loops of test change it again",
    );
    gateway.signal("SIGHUP");
    await gateway.waitFor(new RegExp(`reconcile: ${commit.slice(0, 8)} applied: 1 to load`));
    expect((await loaded()).toSorted()).toEqual(["x/1", "x/2"]);
    await eventually(async () => expect((await offered()).toSorted()).toEqual(["x/1", "x/2"]));
    // Whichever process is asked.
    for (let asked = 0; asked < 4; asked += 1) expect(await answered("x/2")).toBe(200);
    await eventually(() => Promise.resolve(expect(statusesOf(commit)).toEqual(["pending", "success"])));
    const lines = host.told.flatMap(({ path, body }) => (path === "/slack" ? [body.text] : []));
    expect(lines.at(-1)).toMatch(/^:white_check_mark: \*test\* Succeeded: [0-9a-f]{8} applied: 1 to load$/);

    expect((await gateway.stop("SIGTERM")).code).toBe(0);
    // One log: the loop's lines are the gateway's, as JSON.
    expect(gateway.stderr).toMatch(
      /"name":"gateway".*"reason":"Suspended".*"msg":"reconcile: [0-9a-f]{8} waits/,
    );
    expect(gateway.stderr + gateway.stdout).not.toContain("t0ken");
  },
  120_000,
);
