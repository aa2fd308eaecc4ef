import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { Agent, request } from "undici";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { Authority } from "../../../src/trust/io/authority.ts";
import { readIdentity, writePrivately, type Identity } from "../../../src/trust/io/identity-file.ts";
import { requestCertificate } from "../../../src/trust/io/x509.ts";
import { authorityDirectory, identityPath } from "../../../src/trust/places.ts";
import { certificateFacts } from "../../../src/trust/read-certificate.ts";
import { CortexProcess, freePort, runCortex } from "../../support/cortex-process.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/* A fleet of real processes that know each other by certificate: operator and machine have data directories of their own. */

const DAY_MS = 86_400_000;

let root = "";
let running: CortexProcess[] = [];
let ports = { neuron: 0, gateway: 0, metrics: 0, authority: 0 };

const directory = (who: string): string => join(root, who);
const as = (who: string) => ({ environment: { CORTEX_DATA_DIR: directory(who) } });
const fleetFile = (): string => join(root, "fleet.toml");

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cortex-certificates-"));
  ports = {
    neuron: await freePort(),
    gateway: await freePort(),
    metrics: await freePort(),
    authority: await freePort(),
  };
  await writeFile(
    fleetFile(),
    `[fleet]
name = "home"
[gateway]
listen = "127.0.0.1:${ports.gateway}"
metrics_listen = "127.0.0.1:${ports.metrics}"
[[neurons]]
name = "beast"
endpoint = "https://127.0.0.1:${ports.neuron}"
[[models]]
id = "demo"
source = "cortex-demo"
replicas = 1
`,
  );
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await rm(root, { recursive: true, force: true });
});

async function start(who: string, commandLine: readonly string[], up: RegExp): Promise<CortexProcess> {
  const started = new CortexProcess(commandLine, as(who));
  running.push(started);
  await started.waitFor(up);
  return started;
}

const startNeuron = () =>
  start(
    "machine",
    ["neuron", "--port", String(ports.neuron), "--worker-grace", "0"],
    /neuron listening on https:/,
  );
const startGateway = (...more: readonly string[]) =>
  start("operator", ["serve", "--config", fleetFile(), ...more], /machines join and renew here/);

/** The invitation waits for the machine in a process of its own, as an operator's terminal does. */
async function letJoin(who: string, name: string, more: readonly string[] = []): Promise<void> {
  const inviting = new CortexProcess(
    ["neuron", "invite", name, "--at", `127.0.0.1:${ports.authority}`, ...more],
    as("operator"),
  );
  running.push(inviting);
  await inviting.waitFor(/Waiting for|Another program/);
  const [word = ""] = inviting.stdout.match(/cortex-join-\S+/) ?? [];
  const joined = await runCortex(["neuron", "join", word], as(who));
  expect(joined, joined.stderr).toMatchObject({ code: 0 });
  expect(await inviting.exited, inviting.stderr).toMatchObject({ code: 0 });
}

const identityOf = async (who: string, role: "neuron" | "control"): Promise<Identity> => {
  const identity = await readIdentity(identityPath(directory(who), role));
  if (identity === null) throw new Error(`${who} has not joined`);
  return identity;
};

const neuronUrl = (): string => `https://127.0.0.1:${ports.neuron}`;

/** A client of the neuron with any certificate, or none, that believes whatever the neuron shows. */
const clientWith = (shown: Partial<Identity>): Agent =>
  new Agent({
    connect: {
      ...(shown.key === undefined ? {} : { key: shown.key, cert: shown.certificate }),
      rejectUnauthorized: false,
    },
  });

async function askModels(dispatcher: Agent) {
  const response = await request(`${neuronUrl()}/models`, { dispatcher });
  const body = (await response.body.json()) as { readonly error?: { readonly message: string } };
  return { status: response.statusCode, message: body.error?.message };
}

async function ask(): Promise<number> {
  const response = await request(`http://127.0.0.1:${ports.gateway}/v1/chat/completions`, {
    method: "POST",
    // A connection of its own, which another worker has.
    reset: true,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "hi" }], max_tokens: 4 }),
  });
  await response.body.dump();
  return response.statusCode;
}

/** The serial of the certificate that the neuron shows on a new connection. */
async function shownSerial(): Promise<string> {
  const socket = connect({ port: ports.neuron, host: "127.0.0.1", rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const shown = new X509Certificate(socket.getPeerCertificate().raw);
  socket.destroy();
  return certificateFacts(shown).serial;
}

test("a machine joins by one word, and plan, apply and serve reach it by certificate with nothing configured but https", async () => {
  await letJoin("machine", "beast");
  await startNeuron();
  const planned = await runCortex(["plan", "--config", fleetFile()], as("operator"));
  expect(planned.stdout).toContain("+ load demo on beast");
  const applied = await runCortex(["apply", "--config", fleetFile(), "--yes"], as("operator"));
  expect(applied, applied.stderr).toMatchObject({ code: 0 });
  const gateway = await startGateway();
  expect(await ask()).toBe(200);
  expect(gateway.stderr).not.toContain("PRIVATE KEY");

  const without = await runCortex(["status", "--config", fleetFile()], as("stranger"));
  expect(without.stdout).toContain("its certificate is not of an authority that is trusted here");
  expect(await askModels(clientWith({}))).toEqual({
    status: 401,
    message: "no certificate of the fleet was shown",
  });
  // A neuron's own certificate commands no neuron, and another authority's does not either.
  expect(await askModels(clientWith(await identityOf("machine", "neuron")))).toMatchObject({ status: 401 });
  const foreign = await Authority.openOrMake(directory("foreign"), {
    clock: systemClock,
    address: undefined,
    fallback: "127.0.0.1:1",
  });
  const stranger = await askModels(clientWith(await foreign.credentials("control")));
  expect(stranger.status).toBe(401);
  expect(stranger.message).toContain("not one of this fleet");
});

test("who is revoked is refused at once, on the connections that it has open too", async () => {
  await letJoin("machine", "beast");
  await startNeuron();
  // Each of its processes has connections of its own to the neuron.
  await startGateway("--workers", "2");
  await letJoin("laptop", "laptop", ["--control"]);
  const before = await runCortex(["status", "--config", fleetFile()], as("laptop"));
  expect(before.stdout).toMatch(/neuron {3}beast .* ok/);
  const client = clientWith(await identityOf("laptop", "control"));
  expect(await askModels(client)).toMatchObject({ status: 200 });

  const revoked = await runCortex(["neuron", "revoke", "laptop", "--config", fleetFile()], as("operator"));
  expect(revoked.stdout).toContain("beast refuses it now.");
  const refused = { status: 401, message: "the certificate of laptop was revoked" };
  expect(await askModels(client)).toEqual(refused);
  expect(await askModels(clientWith(await identityOf("laptop", "control")))).toEqual(refused);
  const after = await runCortex(["status", "--config", fleetFile()], as("laptop"));
  expect(after.stdout).toContain("unreachable (the certificate of laptop was revoked)");

  // In turn by both workers.
  for (let asked = 0; asked < 4; asked += 1) expect(await ask()).toBe(200);
  await runCortex(["neuron", "revoke", "beast", "--config", fleetFile()], as("operator"));
  await expect
    .poll(async () => Math.min(await ask(), await ask(), await ask()), { timeout: 10_000 })
    .toBeGreaterThanOrEqual(500);
  const listed = await runCortex(["neuron", "ls"], as("operator"));
  expect(listed.stdout.match(/revoked/g)).toHaveLength(2);
});

/** The machine joined 25 days ago: its certificate is good for 5 more, and due. */
async function joinedLongAgo(): Promise<Identity> {
  const clock = new ManualClock(Date.now() - 25 * DAY_MS);
  const address = `127.0.0.1:${ports.authority}`;
  const made = { clock, address, fallback: address };
  const authority = await Authority.openOrMake(authorityDirectory(directory("operator")), made);
  const { token } = await authority.invite("beast", { role: "neuron", lifeMs: DAY_MS });
  const { key, request: asked } = await requestCertificate("beast");
  const { invitation, secret } = token;
  const answer = await authority.join({ invitation, secret, request: asked });
  const identity = { name: "beast", role: "neuron", address, authority: authority.certificate, key } as const;
  await writePrivately(identityPath(directory("machine"), "neuron"), { ...identity, ...answer });
  return { ...identity, ...answer };
}

test("a certificate renews itself in a running neuron, whose clients go on", async () => {
  const old = await joinedLongAgo();
  await startGateway();
  await startNeuron();
  const { serial } = certificateFacts(new X509Certificate(old.certificate));
  await expect.poll(shownSerial, { timeout: 20_000 }).not.toBe(serial);
  await expect.poll(ask, { timeout: 20_000 }).toBe(200);
  const kept = await readFile(identityPath(directory("machine"), "neuron"), "utf8");
  expect(kept).not.toContain(old.key.split("\n")[1]);
});

test("an address beyond loopback needs a certificate or a token", async () => {
  const refused = await runCortex(["neuron", "--host", "0.0.0.0", "--port", "0"], as("machine"));
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toMatch(/bind_needs_token.*\n.*cortex neuron invite NAME/);
  expect(refused.stderr).toContain("--token-file");
});

const rotate = (...flags: readonly string[]) => runCortex(["neuron", "rotate", ...flags], as("operator"));

test("an authority is exchanged by three calls, and a step is not made before those who are awaited have made the last", async () => {
  expect((await rotate()).stderr).toContain("there is no authority");
  const place = { clock: systemClock, address: "127.0.0.1:1", fallback: "127.0.0.1:1" };
  const authority = await Authority.openOrMake(authorityDirectory(directory("operator")), place);
  const { token } = await authority.invite("beast", { role: "neuron", lifeMs: DAY_MS });
  const { request: asked } = await requestCertificate("beast");
  await authority.join({ ...token, request: asked });
  expect((await rotate()).stdout).toContain("A new authority is known beside the present one");
  const held = await rotate();
  expect(held.stdout).toContain("Nothing was done");
  expect(held.stdout).toContain("Not heard of it yet: beast");
  expect((await rotate("--force")).stdout).toContain("The new authority signs");
  const third = await rotate("--force", "--json");
  expect(JSON.parse(third.stdout)).toEqual({ exchange: "none", stepped: true, awaited: ["beast"] });
});
