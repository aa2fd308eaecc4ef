import { constants } from "node:fs";
import { access, readdir, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { type HostAndPort, localUrl } from "../../core/addresses.ts";
import type { Clock } from "../../core/clock.ts";
import { systemErrorCode, toCortexError } from "../../core/errors.ts";
import { createMachineProbe } from "../../neuron/machine/io/machine-probe.ts";
import type { Logger } from "../../platform/logger.ts";
import { engineVersions, neededNode } from "../../platform/package-paths.ts";
import { readTokenFile } from "../../platform/token-file.ts";
import type { DeviceFile, DirectoryFacts, MachineFacts, PortFacts, PortHolder } from "../judge-machine.ts";
import { readCertificates } from "./read-certificates.ts";
import { askVersion } from "./ask-server.ts";

export interface WantedPort {
  readonly address: HostAndPort;
  readonly purpose: string;
}

export interface MachineQuestion {
  readonly dataDirectory: string;
  readonly modelRoots: readonly string[];
  readonly tokenFiles: readonly string[];
  readonly ports: readonly WantedPort[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where device files are; `/dev` but in tests. */
  readonly deviceDirectory?: string;
}

/** Looks, and changes nothing; what cannot be seen is said as such. */
export async function readMachine(question: MachineQuestion): Promise<MachineFacts> {
  const { clock, logger, environment, user, tokenFiles, ports } = question;
  const engine = engineVersions();
  const probe = createMachineProbe({
    clock,
    logger,
    environment,
    usesGpu: true,
    engine: engine.installed === engine.needed ? { environment } : null,
  });
  const [devices, deviceFiles, dataDirectory, modelRoots, tokens, held, certificates] = await Promise.all([
    probe.discover(),
    readDeviceFiles(question.deviceDirectory ?? "/dev"),
    readDirectory(question.dataDirectory),
    Promise.all(question.modelRoots.map(readDirectory)),
    Promise.all(tokenFiles.map(readToken)),
    Promise.all(ports.map((port) => readPort(port, clock))),
    readCertificates(question.dataDirectory, clock),
  ]);
  return {
    nodeVersion: process.versions.node,
    neededNode: neededNode(),
    engine,
    driverVersion: devices.driverVersion,
    cudaUnavailableReason: devices.cudaUnavailableReason,
    devices: devices.devices,
    deviceFiles,
    visibleDevices: environment["CUDA_VISIBLE_DEVICES"],
    user,
    dataDirectory,
    modelRoots,
    tokenFiles: tokens,
    ports: held,
    certificates,
    nowMs: clock.nowMs(),
  };
}

async function readDeviceFiles(directory: string): Promise<readonly DeviceFile[]> {
  const names = await readdir(directory).catch(() => []);
  const wanted = names.filter((name) => /^nvidia(?:\d+|ctl|-uvm)$/.test(name)).toSorted();
  return Promise.all(
    wanted.map(async (name) => {
      const path = join(directory, name);
      return { path, isUsable: await may(path, constants.R_OK | constants.W_OK) };
    }),
  );
}

const may = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** One that is not there yet can be written to where the nearest one above it can. */
async function readDirectory(path: string): Promise<DirectoryFacts> {
  const exists = await stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  const place = exists ? path : await nearestAbove(path);
  return {
    path,
    exists,
    isReadable: exists && (await may(path, constants.R_OK | constants.X_OK)),
    isWritable: await may(place, constants.W_OK | constants.X_OK),
    freeBytes: await statfs(place).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => null,
    ),
  };
}

async function nearestAbove(path: string): Promise<string> {
  const parent = dirname(path);
  if (parent === path || (await may(parent, constants.F_OK))) return parent;
  return nearestAbove(parent);
}

async function readToken(path: string): Promise<MachineFacts["tokenFiles"][number]> {
  try {
    await readTokenFile(path);
    return { path, problem: null };
  } catch (thrown) {
    const { message, next } = toCortexError(thrown);
    return { path, problem: { message, next } };
  }
}

async function readPort({ address, purpose }: WantedPort, clock: Clock): Promise<PortFacts> {
  return { address: `${address.host}:${address.port}`, purpose, holder: await holderOf(address, clock) };
}

/** Listens there for a moment; where somebody else does, asks who. */
async function holderOf(address: HostAndPort, clock: Clock): Promise<PortHolder> {
  const refusal = await listenFor(address);
  if (refusal === null) return { kind: "free" };
  if (refusal !== "EADDRINUSE") return { kind: "forbidden", reason: refusal };
  const url = localUrl(address);
  const answer = await askVersion({ url, clock });
  return { kind: answer.kind === "answered" || (await hasMetrics(url)) ? "cortex" : "other" };
}

const hasMetrics = (url: string): Promise<boolean> =>
  fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2000) }).then(
    async (response) => (await response.text()).includes("cortex_build_info"),
    () => false,
  );

/** Null where it could. */
function listenFor({ host, port }: HostAndPort): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => {
      resolve(systemErrorCode(error) ?? error.message);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => {
        resolve(null);
      });
    });
  });
}
