import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";
import { expect, test } from "vitest";
import type { Conditions } from "../../../src/controller/reconcile/conditions.ts";
import { eventually } from "../../support/eventually.ts";
import { git, temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { serveFleet } from "../../support/git/served-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

const block = (source: string, id: string) =>
  `[[models]]\nid = "${id}"\nsource = "${source}"\nreplicas = 1\ncontext = 64\n`;

const refused = (commit: string) => ({
  Stalled: {
    status: "True",
    reason: "InvalidFleet",
    message: expect.stringContaining(commit.slice(0, 8)) as string,
  },
});

const gpg = (home: string, ...words: string[]) =>
  execFileSync("gpg", ["--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", ...words], {
    stdio: ["ignore", "pipe", "ignore"],
  });

/** A client of the loop's own server. */
async function statusAt(url: string): Promise<Conditions> {
  const { conditions } = (await (await request(`${url}/status`)).body.json()) as {
    readonly conditions: Conditions;
  };
  return conditions;
}

test("the loop follows pushes, and does the safe thing with each commit that it should not believe", async () => {
  const modelPath = await tinyModelFile();
  await using keys = await temporaryDirectory();
  const key = join(keys.path, "ann");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  const signers = join(keys.path, "allowed_signers");
  await writeFile(signers, `ann@example.org ${await readFile(`${key}.pub`, "utf8")}`);
  const source = sourceOf(modelPath);
  await using served = await serveFleet({
    neuronNames: ["a"],
    modelPath,
    models: ["x/1", "x/2", "x/3"].map((id) => block(source, id)).join(""),
  });
  const clone = await served.clone("ann");
  const push = async (
    edit: (text: string) => string,
    options: { readonly signed: boolean },
  ): Promise<string> => {
    const file = join(clone, "fleet.toml");
    await writeFile(file, edit(await readFile(file, "utf8")));
    const sign = options.signed ? ["-c", "gpg.format=ssh", "-c", `user.signingKey=${key}`] : [];
    const flag = options.signed ? "--gpg-sign" : "--no-gpg-sign";
    await git(clone, ...sign, "commit", "--quiet", "--all", "--allow-empty", flag, "--message", "change");
    await git(clone, "push", "--quiet", "origin", "HEAD");
    return git(clone, "rev-parse", "HEAD");
  };
  const secretFile = join(keys.path, "hook");
  await writeFile(secretFile, "hook-secret-0123456789", { mode: 0o600 });
  const models = async () => (await residentModels(served.fleet.neuronUrls["a"] ?? "")).map(({ id }) => id);

  const loop = served.start([
    "reconcile",
    "--config",
    `git+${served.url}`,
    "--verify",
    "ssh",
    "--signers",
    signers,
    "--listen",
    "127.0.0.1:0",
    "--webhook-secret-file",
    secretFile,
  ]);
  const [, url = ""] = await loop.waitFor(/listening on (\S+)/);
  const announce = async (secret = "hook-secret-0123456789") => {
    const body = JSON.stringify({ ref: "refs/heads/main" });
    const digest = createHmac("sha256", secret).update(body).digest("hex");
    const headers = { "content-type": "application/json", "x-hub-signature-256": `sha256=${digest}` };
    const { statusCode, body: answer } = await request(`${url}/hook`, { method: "POST", headers, body });
    await answer.dump();
    return statusCode;
  };
  const becomes = async (expected: object): Promise<void> => {
    await eventually(async () => {
      expect(await statusAt(url)).toMatchObject(expected);
    });
  };

  // The first commit has no signature.
  await becomes({ Stalled: { status: "True", reason: "UntrustedCommit" }, Ready: { status: "False" } });
  expect((await statusAt(url)).Stalled.message).toContain("the commit is not signed");
  expect(await models()).toEqual([]);

  // A webhook with another secret moves nothing; one with the right secret has it looked at now.
  const signed = await push((text) => text, { signed: true });
  expect(await announce("another")).toBe(401);
  expect(await announce()).toBe(202);
  await becomes({
    Ready: { status: "True", message: expect.stringContaining(signed.slice(0, 8)) as string },
  });
  expect((await models()).toSorted()).toEqual(["x/1", "x/2", "x/3"]);
  const entry = await git(served.bare, "show", "refs/cortex/applied/test:apply.json");
  expect(JSON.parse(entry)).toMatchObject({ operation: "reconcile", signed_by: "ann@example.org" });

  // The host is down: said, tried again, and the fleet stays.
  served.server.fail(503);
  await announce();
  await becomes({ Ready: { reason: "FetchFailed" }, Reconciling: { reason: "ProgressingWithRetry" } });
  served.server.fail(undefined);
  await announce();
  await becomes({ Ready: { status: "True" } });

  // Broken files, no model at all, two thirds of the models: nothing is unloaded, and it is said why.
  const broken = await push((text) => text.replace("replicas = 1", 'replicas = "many"'), { signed: true });
  await announce();
  await becomes(refused(broken));
  const full = `${await git(clone, "show", `${signed}:fleet.toml`)}\n`;
  const empty = await push(() => full.replace(/\[\[models\]\][^]*$/, ""), { signed: true });
  await announce();
  await becomes(refused(empty));
  const sign = ["-c", "gpg.format=ssh", "-c", `user.signingKey=${key}`];
  await git(clone, "mv", "fleet.toml", "fleet.txt");
  await git(clone, ...sign, "commit", "--quiet", "--gpg-sign", "--message", "no file left");
  await git(clone, "push", "--quiet", "origin", "HEAD");
  await announce();
  await becomes({ Stalled: { status: "True", reason: "EmptyRender" } });
  await git(clone, "mv", "fleet.txt", "fleet.toml");
  await push(() => full.slice(0, full.lastIndexOf('[[models]]\nid = "x/2"')), { signed: true });
  await announce();
  await becomes({ Stalled: { status: "True", reason: "MassUnload" } });
  expect(await models()).toHaveLength(3);

  // A branch that was pushed by force past what was applied.
  await git(clone, "checkout", "--quiet", "--orphan", "anew");
  await writeFile(join(clone, "fleet.toml"), full);
  await git(clone, "add", "fleet.toml");
  await git(clone, ...sign, "commit", "--quiet", "--gpg-sign", "--message", "anew");
  await git(clone, "push", "--quiet", "--force", "origin", "anew:main");
  await announce();
  await becomes({ Stalled: { status: "True", reason: "HistoryRewritten" } });
  expect(await models()).toHaveLength(3);
  const metrics = await (await request(`${url}/metrics`)).body.text();
  expect(metrics).toContain(
    'cortex_reconcile_condition{fleet="test",type="Stalled",reason="HistoryRewritten"} 1',
  );
  expect((await loop.stop("SIGTERM")).code).toBe(0);
}, 180_000);

test("a gpg signature counts where its key is among the signers; one of another key does not", async () => {
  const modelPath = await tinyModelFile();
  await using keys = await temporaryDirectory();
  for (const name of ["ann", "eve"]) {
    const home = join(keys.path, name);
    await mkdir(home, { mode: 0o700 });
    gpg(home, "--passphrase", "", "--quick-generate-key", `${name}@example.org`, "ed25519", "sign", "never");
  }
  const signers = join(keys.path, "signers.asc");
  await writeFile(signers, gpg(join(keys.path, "ann"), "--armor", "--export"));
  await using served = await serveFleet({
    neuronNames: ["a"],
    modelPath,
    models: block(sourceOf(modelPath), "x/y"),
  });
  const clone = await served.clone("ann");
  const wrapper = join(keys.path, "gpg");
  const once = [
    "reconcile",
    "--config",
    `git+${served.url}`,
    "--once",
    "--verify",
    "gpg",
    "--signers",
    signers,
  ];
  for (const [name, code, words] of [
    ["eve", 1, /UntrustedCommit: .*a key that is not among the signers/],
    ["ann", 0, /Ready=True Succeeded/],
  ] as const) {
    await writeFile(wrapper, `#!/bin/sh\nexec gpg --homedir ${join(keys.path, name)} "$@"\n`, {
      mode: 0o755,
    });
    const sign = ["-c", `gpg.program=${wrapper}`, "-c", `user.signingKey=${name}@example.org`];
    await git(clone, ...sign, "commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", name);
    await git(clone, "push", "--quiet", "origin", "HEAD");
    const round = await served.run(once);
    expect(round.stdout + round.stderr).toMatch(words);
    expect(round.code).toBe(code);
  }
  // Somebody unloads by hand: told, and with mode detect left so.
  const { statusCode, body } = await request(`${served.fleet.neuronUrls["a"] ?? ""}/models/unload`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model_id: "x/y" }),
  });
  await body.dump();
  expect(statusCode).toBe(202);
  await eventually(async () => {
    expect(await residentModels(served.fleet.neuronUrls["a"] ?? "")).toEqual([]);
  });
  const drifted = await served.run([...once, "--mode", "detect"]);
  expect(drifted.stdout).toMatch(/DriftSuspected: the fleet differs from [0-9a-f]{8}: 1 to load/);
  expect(drifted.code).toBe(2);
}, 120_000);
