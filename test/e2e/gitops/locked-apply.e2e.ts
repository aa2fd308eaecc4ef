import { beforeAll, expect, test } from "vitest";
import { git } from "../../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { type ServedFleet, serveFleet } from "../../support/git/served-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

let modelPath = "";

beforeAll(async () => {
  modelPath = await tinyModelFile();
});

const serve = (): Promise<ServedFleet> =>
  serveFleet({
    neuronNames: ["a"],
    modelPath,
    models: `[[models]]\nid = "x/y"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\ncontext = 64\n`,
  });

const widen = (context: number) => (text: string) => text.replace(/context = \d+/, `context = ${context}`);

test("an apply holds the lock, and leaves who, what and with what result in the remote", async () => {
  await using served = await serve();
  const clone = await served.clone("ann");
  const commit = await git(clone, "rev-parse", "HEAD");
  const applied = await served.run(["apply", "--config", clone, "--yes"]);
  expect(applied.code, applied.stderr).toBe(0);
  const history = await served.run(["history", "--config", clone]);
  expect(history.stdout).toMatch(
    new RegExp(String.raw`^\S+Z +1 +ann@\S+ apply +${commit.slice(0, 8)} +1 applied`, "m"),
  );
  // Another machine, by the URL alone.
  const elsewhere = await served.run(["history", "--config", `git+${served.url}`, "--json"]);
  expect(JSON.parse(elsewhere.stdout)).toMatchObject([
    { entry: { operation: "apply", operator: { user: "ann" }, record: { epoch: 1, superseded: false } } },
  ]);
  const blame = await served.run(["blame", "x/y", "--config", clone]);
  expect(blame.stdout).toMatch(
    new RegExp(String.raw`^a +load +\S+Z +ann@\S+ apply +${commit.slice(0, 8)} +1$`, "m"),
  );
  const locks = await served.run(["lock", "ls", "--config", clone]);
  expect(locks.stdout).toContain("Nobody holds a lock");
  const log = await git(served.bare, "log", "--format=%B", "refs/cortex/applied/test");
  expect(log).toMatch(/^apply of [0-9a-f]{8}: 1 applied, 0 failed, 0 not started\n\nPlan: 1 to load/);
}, 60_000);

test("two appliers at once: one wins, the other says who holds the lock, or waits for it", async () => {
  await using served = await serve();
  const [left, right] = [await served.clone("left"), await served.clone("right")];
  const both = await Promise.all(
    [left, right].map((clone) => served.run(["apply", "--config", clone, "--yes", "--lock-timeout", "60s"])),
  );
  // The second finds its neuron changed, or nothing left to do; whatever it says, it did not act beside the first.
  expect(both.map(({ code }) => code)).toContain(0);
  const history = JSON.parse((await served.run(["history", "--config", left, "--json"])).stdout) as {
    readonly entry: { readonly record: { readonly epoch: number } } | null;
  }[];
  const epochs = history.flatMap(({ entry }) => (entry === null ? [] : [entry.record.epoch]));
  expect(epochs).toEqual([...new Set(epochs)]);
  expect(await residentModels(served.fleet.neuronUrls["a"] ?? "")).toHaveLength(1);
}, 90_000);

test("an applier that was stopped while another one took over is refused by the neuron, and says so", async () => {
  await using served = await serve();
  const [slow, quick] = [await served.clone("slow"), await served.clone("quick")];
  const zombie = served.start(["apply", "--config", slow, "--yes"]);
  // Stopped the moment its push of the lock has been taken, before it sends anything to a neuron.
  const taken = Promise.withResolvers<void>();
  let pushes = 0;
  served.server.onRequest((path) => {
    if (path.endsWith("/git-receive-pack")) pushes += 1;
    if (pushes === 1 && path.includes("service=git-upload-pack")) {
      zombie.signal("SIGSTOP");
      taken.resolve();
      pushes += 1;
    }
  });
  await taken.promise;
  served.server.onRequest(() => undefined);
  const locks = await served.run(["lock", "ls", "--config", quick, "--json"]);
  const id = /"id": "([0-9a-f]{8})"/.exec(locks.stdout)?.[1] ?? "";
  const refused = await served.run(["apply", "--config", quick, "--yes"]);
  expect(refused.code).toBe(69);
  expect(refused.stderr).toContain(`holds the lock ${id} for apply since`);
  expect((await served.run(["lock", "release", id, "--config", quick])).code).toBe(0);
  await served.change(quick, widen(128));
  const applied = await served.run(["apply", "--config", quick, "--yes"]);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  zombie.signal("SIGCONT");
  const exit = await zombie.exited;
  const said = zombie.stdout + zombie.stderr;
  expect(exit.code, said).toBe(1);
  expect(said).toMatch(/stale_epoch|lock_lost|changed since the plan was made/);
  const plan = await served.run(["plan", "--config", quick, "--json"]);
  expect(JSON.parse(plan.stdout)).toMatchObject({ changes: [], unplaced: [] });
  const log = await git(served.bare, "log", "--format=%s", "refs/cortex/applied/test");
  expect(log.split("\n")).toEqual([
    expect.stringMatching(/^apply of [0-9a-f]{8}: 1 applied/),
    expect.stringMatching(new RegExp(`^lock ${id} of ann@\\S+ released by ann@`)),
  ]);
}, 120_000);

test("killed at any request to the git host, an applier keeps the next one from nothing but a short wait", async () => {
  await using served = await serve();
  const clone = await served.clone("ann");
  const apply = ["apply", "--config", clone, "--yes", "--lock-ttl", "4s", "--lock-timeout", "60s"];
  for (let killedAt = 1; ; killedAt += 1) {
    await served.change(clone, widen(64 + 8 * killedAt));
    const victim = served.start(apply);
    let requests = 0;
    served.server.onRequest(async () => {
      requests += 1;
      if (requests === killedAt) await victim.stop("SIGKILL");
    });
    const { signal } = await victim.exited;
    served.server.onRequest(() => undefined);
    const next = await served.run(apply);
    expect(next.code, `${killedAt}: ${next.stdout}${next.stderr}`).toBe(0);
    const plan = await served.run(["plan", "--config", clone, "--json"]);
    expect(JSON.parse(plan.stdout)).toMatchObject({ changes: [], unplaced: [] });
    if (signal === null) break;
  }
  // One that was killed while it gave the lock back left it to the next apply that has something to do: the last one.
  expect((await served.run(["lock", "ls", "--config", clone])).stdout).toContain("Nobody holds a lock");
}, 480_000);
