import { expect, test } from "vitest";
import { git } from "../../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { serveFleet } from "../../support/git/served-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

test("two appliers and a loop at once: one acts, the others say who holds the lock and since when, and all end as declared", async () => {
  const modelPath = await tinyModelFile();
  const block = (id: string, context: number) =>
    `[[models]]\nid = "${id}"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\ncontext = ${context}\n`;
  await using served = await serveFleet({
    neuronNames: ["a"],
    modelPath,
    models: ["x/1", "x/2", "x/3"].map((id) => block(id, 64)).join(""),
  });
  const loop = served.start(["reconcile", "--config", `git+${served.url}`]);
  await loop.waitFor(/Applying [0-9a-f]{8}: 3 to load/);
  await loop.waitFor(/Ready=True Succeeded/);

  const [left, right] = [await served.clone("left"), await served.clone("right")];
  // Whoever takes the lock first is stopped there, so that all others meet it.
  const held = Promise.withResolvers<void>();
  const commit = await served.change(left, (text) => text.replaceAll("context = 64", "context = 128"));
  const winner = served.start(["apply", "--config", left, "--yes", "--lock-ttl", "120s"]);
  let pushes = 0;
  served.server.onRequest((path) => {
    if (path.endsWith("/git-receive-pack")) pushes += 1;
    if (pushes !== 1 || !path.includes("service=git-upload-pack")) return;
    pushes += 1;
    winner.signal("SIGSTOP");
    held.resolve();
  });
  await held.promise;
  served.server.onRequest(() => undefined);
  await git(right, "pull", "--quiet");
  const second = await served.run(["apply", "--config", right, "--yes"]);
  expect(second.code).toBe(69);
  expect(second.stderr.replaceAll("\n", " ")).toMatch(
    /ann@\S+ \(process \d+\) holds the lock [0-9a-f]{8} for apply since \d{4}-\S+Z, last seen \d+ s ago/,
  );
  loop.signal("SIGHUP");
  await loop.waitFor(
    /Ready=False LockHeld: ann@\S+ \(process \d+\) holds the lock [0-9a-f]{8} for apply since \d{4}-/,
  );
  winner.signal("SIGCONT");
  expect((await winner.exited).code, winner.stdout + winner.stderr).toBe(0);
  await loop.waitFor(new RegExp(`Ready=True Succeeded: the fleet is as ${commit.slice(0, 8)} declares`));
  expect(await residentModels(served.fleet.neuronUrls["a"] ?? "")).toHaveLength(3);
  const subjects = await git(served.bare, "log", "--format=%s", "refs/cortex/applied/test");
  expect(subjects.split("\n")).toEqual([
    expect.stringMatching(/^apply of [0-9a-f]{8}: 3 applied/),
    expect.stringMatching(/^reconcile of [0-9a-f]{8}: 3 applied/),
  ]);
  expect((await loop.stop("SIGTERM")).code).toBe(0);
}, 180_000);
