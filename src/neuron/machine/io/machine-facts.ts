import { statfs } from "node:fs/promises";
import { availableParallelism, hostname, release, type } from "node:os";
import { dirname } from "node:path";
import type { CortexError } from "../../../core/errors.ts";
import { engineVersions, packageVersion } from "../../../platform/package-paths.ts";
import type { Discovery, Version } from "../../../protocol/neuron-api.ts";
import type { DiscoveredDevices } from "./gpu-probe.ts";

/** `GET /discovery`; the free space is that of the first model root. */
export async function describeMachine(
  discovered: DiscoveredDevices,
  { modelRoots, missing }: { readonly modelRoots: readonly string[]; readonly missing: CortexError | null },
): Promise<Discovery> {
  return {
    hostname: hostname(),
    os: type(),
    kernel: release(),
    cpu_cores: availableParallelism(),
    driver_version: discovered.driverVersion,
    devices: [...discovered.devices],
    harnesses: missing === null ? ["llama", "openai"] : ["openai"],
    ...(missing === null ? {} : { engine_unavailable_reason: missing.message }),
    cuda_unavailable_reason: discovered.cudaUnavailableReason,
    disk_free_bytes: await diskFreeBytes(modelRoots[0]),
  };
}

/** Of the directory, or of the nearest parent that exists. */
async function diskFreeBytes(directory: string | undefined): Promise<number | null> {
  for (let place = directory; place !== undefined; place = parentOf(place)) {
    try {
      const { bavail, bsize } = await statfs(place);
      return bavail * bsize;
    } catch {
      // Not there yet: a store is made by the first who puts a file into it.
    }
  }
  return null;
}

const parentOf = (place: string): string | undefined => {
  const parent = dirname(place);
  return parent === place ? undefined : parent;
};

/** `GET /version`. */
export const describeVersion = (gitSha: string | undefined): Version => ({
  package_version: packageVersion(),
  git_sha: gitSha ?? "unknown",
  node_version: process.versions.node,
  node_llama_cpp_version: engineVersions().installed,
});
