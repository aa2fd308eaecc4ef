import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CortexError } from "../../src/core/errors.ts";
import { examine, type Examination } from "../../src/doctor/io/examine.ts";
import { readCertificates } from "../../src/doctor/io/read-certificates.ts";
import { readMachine } from "../../src/doctor/io/read-machine.ts";
import { fleetSchema } from "../../src/fleet/schema/fleet-schema.ts";
import { createLogger } from "../../src/platform/logger.ts";
import { systemClock } from "../../src/platform/system-clock.ts";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { Authority } from "../../src/trust/io/authority.ts";
import { authorityDirectory, identityPath } from "../../src/trust/places.ts";
import { fakeNeuron, gatewayFor } from "../gateway/gateway-bench.ts";

const deps = { clock: systemClock, logger: createLogger({ name: "test", level: "silent" }) };

let home = "";
const servers: Server[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "cortex-doctor-"));
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(home, { recursive: true, force: true });
});

/** A server that is not cortex, or that says what it is told to of itself. */
async function otherServer(headers: Readonly<Record<string, string>> = {}, body = "hello"): Promise<number> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json", ...headers }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function closedPort(): Promise<number> {
  const port = await otherServer();
  await new Promise((resolve) => servers.pop()?.close(resolve));
  return port;
}

const examination = (changes: Partial<Examination> = {}): Examination => ({
  loadFleet: null,
  gatewayUrl: undefined,
  neuronToken: () => Promise.resolve(undefined),
  apiKey: () => Promise.resolve(undefined),
  tokenFiles: [],
  dataDirectory: home,
  modelRoots: [join(home, "models")],
  user: "ann",
  environment: { PATH: "" },
  ...changes,
});

const brokenFleet = () => Promise.reject(new CortexError("fleet_invalid", "2 errors in fleet.toml"));

const question = () => ({ ...examination(), ...deps, ports: [] });

const found = async (changes: Partial<Examination>, status: string) =>
  (await examine(examination(changes), deps)).findings
    .filter((finding) => finding.status === status)
    .map(({ check, subject, message }) => `${check} ${subject}: ${message}`);

describe("examine", () => {
  test("a gateway with a silent neuron and a key that it does not know", async () => {
    const neuron = await fakeNeuron();
    const declared = {
      fleet: { name: "home" },
      neurons: [
        { name: "beast", endpoint: neuron.url },
        { name: "gone", endpoint: `http://127.0.0.1:${await closedPort()}` },
        { name: "nameless", endpoint: "http://no-such-host.invalid:13131" },
      ],
      keys: [{ id: "root", role: "admin", hash: hashOfSecret("secret-root-of-the-fleet") }],
    };
    const gateway = await gatewayFor(fleetSchema.parse(declared));
    const fleet = fleetSchema.parse({
      ...declared,
      gateway: {
        listen: new URL(gateway.address).host,
        metrics_listen: new URL(gateway.metricsAddress).host,
      },
    });
    const loadFleet = () => Promise.resolve(fleet);
    const wrong = { loadFleet, apiKey: () => Promise.resolve("nobody-declared-this-one") };
    const problems = await found(wrong, "problem");
    expect(problems).toEqual([
      // The fake knows no /version.
      expect.stringMatching(/^neuron beast: .*GET \/version/),
      expect.stringMatching(/^neuron gone: .*nothing listens there/),
      expect.stringMatching(/^neuron nameless: .*its name/),
      expect.stringMatching(/^gateway gateway: .*not one of this fleet's/),
    ]);
    const ports = (
      await found({ loadFleet, apiKey: () => Promise.resolve("secret-root-of-the-fleet") }, "ok")
    ).filter((line) => /^(?:port|gateway)/.test(line));
    expect(ports).toContain(`port ${new URL(gateway.address).host}: cortex listens there (gateway)`);
    expect(ports).toContain(
      `port ${new URL(gateway.metricsAddress).host}: cortex listens there (metrics of the gateway)`,
    );
    expect(ports).toContain("gateway-keys : 1 declared, 1 with the admin role");
  });

  test("a clock that is an hour behind, and another version", async () => {
    const date = new Date(Date.now() - 3_600_000).toUTCString();
    const port = await otherServer({ date }, JSON.stringify({ package_version: "0.0.1" }));
    const fleet = fleetSchema.parse({
      fleet: { name: "home" },
      neurons: [{ name: "late", endpoint: `http://127.0.0.1:${port}` }],
    });
    const loadFleet = () => Promise.resolve(fleet);
    expect(await found({ loadFleet }, "problem")).toContainEqual(
      expect.stringMatching(/^clock late: (?:59 m 59 s|1 h 00 m) behind ours/),
    );
    expect(await found({ loadFleet }, "warning")).toContainEqual(
      expect.stringMatching(/^version late: runs 0.0.1/),
    );
  });

  test("fleet files that are wrong are a finding, and the machine is looked at all the same", async () => {
    const report = await examine(examination({ loadFleet: brokenFleet }), deps);
    expect(report.healthy).toBe(false);
    expect(report.findings.find(({ check }) => check === "fleet-files")).toMatchObject({
      status: "problem",
      mend: "cortex validate",
    });
    expect(report.findings.find(({ check }) => check === "node")).toMatchObject({ status: "ok" });
  });

  test("a token file that others can read is a finding, not the end", async () => {
    const path = join(home, "neuron.token");
    await writeFile(path, "0123456789abcdef0123");
    await chmod(path, 0o644);
    expect(await found({ tokenFiles: [path] }, "problem")).toContainEqual(
      expect.stringContaining(`token-file ${path}: `),
    );
  });
});

describe("readMachine", () => {
  test("tells who has a port", async () => {
    const port = await otherServer();
    const free = { address: { host: "127.0.0.1", port: 0 }, purpose: "neuron" };
    const taken = { address: { host: "127.0.0.1", port }, purpose: "gateway" };
    const foreign = { address: { host: "192.0.2.1", port: 31_313 }, purpose: "gateway" };
    const { ports } = await readMachine({ ...question(), ports: [free, taken, foreign] });
    expect(ports.map(({ holder }) => holder)).toEqual([
      { kind: "free" },
      { kind: "other" },
      { kind: "forbidden", reason: "EADDRNOTAVAIL" },
    ]);
  });

  test("sees device files, and a store that is made when it is needed", async () => {
    const devices = join(home, "dev");
    await mkdir(devices);
    for (const name of ["nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-modeset", "null"])
      await writeFile(join(devices, name), "");
    const facts = await readMachine({ ...question(), deviceDirectory: devices });
    expect(facts.deviceFiles.map(({ path }) => path)).toEqual(
      ["nvidia-uvm", "nvidia0", "nvidiactl"].map((name) => join(devices, name)),
    );
    expect(facts.modelRoots[0]).toMatchObject({ exists: false, isWritable: true });
    expect(facts.modelRoots[0]?.freeBytes).toBeGreaterThan(0);
  });
});

test("the certificates of the fleet that lie here are looked at", async () => {
  const place = { clock: systemClock, address: "127.0.0.1:1", fallback: "127.0.0.1:1" };
  await Authority.openOrMake(authorityDirectory(home), place);
  await mkdir(join(home, "identity"), { recursive: true });
  await writeFile(identityPath(home, "neuron"), "{}", { mode: 0o600 });
  expect(await readCertificates(home, systemClock)).toMatchObject([
    { trouble: { message: expect.stringContaining("is not what cortex neuron join writes") as string } },
    { bearer: "authority", isSigned: true, isExchanged: false },
  ]);
});
