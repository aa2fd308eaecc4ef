import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { modelListSchema } from "../../src/protocol/gateway-api.ts";
import { CortexProcess, freePort } from "../support/cortex-process.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";

/** A gateway over files that the test writes; `files` says what is in force. */
async function serving() {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const [port, metricsPort] = [await freePort(), await freePort()];
  const write = (models: string) =>
    writeFile(
      join(directory.path, "fleet.toml"),
      `[fleet]\nname = "home"\n[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n${models}`,
    );
  await write('[[models]]\nid = "a"\n');
  const environment = { CORTEX_DATA_DIR: join(directory.path, ".data") };
  const gateway = new CortexProcess(["serve", "--config", directory.path], { environment });
  stack.defer(async () => {
    await gateway.stop("SIGKILL");
  });
  await gateway.waitFor(/gateway listening/);
  const url = `http://127.0.0.1:${port}`;
  const models = async () =>
    modelListSchema.parse(await (await fetch(`${url}/v1/models`)).json()).data.map(({ id }) => id);
  return { gateway, url, write, models, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("changed files are taken, broken ones are not and it says so, and the reader of the log may go", async () => {
  await using fleet = await serving();
  const { gateway, models, write, url } = fleet;
  expect(await models()).toEqual(["a"]);
  await write('[[models]]\nid = "b"\n');
  gateway.signal("SIGHUP");
  await expect.poll(models).toEqual(["b"]);
  await write("[[models]]\nid = = 3\n");
  gateway.signal("SIGHUP");
  await gateway.waitFor(/the last good ones stay in force/);
  expect(await models()).toEqual(["b"]);
  gateway.closeReaders();
  for (let asked = 0; asked < 5; asked += 1) expect((await fetch(`${url}/nothing`)).status).toBe(404);
  await write('[[models]]\nid = "c"\n');
  // By itself: files of a work tree are watched.
  await expect.poll(models, { timeout: 10_000 }).toEqual(["c"]);
  expect((await gateway.stop("SIGTERM")).code).toBe(0);
});
