import { beforeAll, expect, test } from "vitest";
import { request } from "undici";
import { runCortex } from "../../support/cortex-process.ts";
import { residentModels, sourceOf, startFleet } from "../../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";
import { recordOf } from "../../controller/lock/lock-contract.ts";

let modelPath = "";

beforeAll(async () => {
  modelPath = await tinyModelFile();
});

const start = () =>
  startFleet({
    neuronNames: ["a", "b", "c"],
    modelPath,
    models: `[[models]]\nid = "x/y"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\ncontext = 64\n`,
  });

test("without a remote the neurons keep the lock: whoever comes second is told who holds it, and lock ls and release know it", async () => {
  await using fleet = await start();
  const on = (...words: string[]) => runCortex([...words, "--config", fleet.directory]);
  const record = recordOf({ renewed_at: new Date().toISOString() });
  for (const url of Object.values(fleet.neuronUrls).slice(0, 2)) {
    const body = JSON.stringify({ expected: null, token: "0123456789abcdef", record });
    const headers = { "content-type": "application/json" };
    const answer = await request(`${url}/leases/test`, { method: "POST", headers, body });
    expect(await answer.body.json()).toMatchObject({ taken: true });
  }
  const refused = await on("apply", "--yes");
  expect(refused.code).toBe(69);
  expect(refused.stderr.replaceAll("\n", " ")).toContain(
    "ann@machine (process 4711) holds the lock 00c0ffee for apply since",
  );
  const locks = await on("lock", "ls");
  expect(locks.stdout).toMatch(/^test +00c0ffee +ann@machine \(process 4711\) +apply +1 /m);
  const released = await on("lock", "release", "00c0ffee");
  expect(released.stdout).toContain("Released the lock 00c0ffee that ann@machine held");
  const applied = await on("apply", "--yes");
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  expect((await on("lock", "ls")).stdout).toContain("Nobody holds a lock at the neurons of test");
  const lease = await request(`${fleet.neuronUrls["a"] ?? ""}/leases/test`);
  expect(await lease.body.json()).toMatchObject({ token: null, last_epoch: 2 });
}, 90_000);

test("two appliers without a remote: they act one after the other, each with an epoch of its own", async () => {
  await using fleet = await start();
  const both = await Promise.all(
    [1, 2].map(() => runCortex(["apply", "--config", fleet.directory, "--yes", "--lock-timeout", "60s"])),
  );
  expect(both.map(({ code }) => code)).toContain(0);
  const models = await Promise.all(Object.values(fleet.neuronUrls).map(residentModels));
  expect(models.flat()).toHaveLength(1);
}, 90_000);
