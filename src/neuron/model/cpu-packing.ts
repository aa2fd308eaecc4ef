import type { CpuPacking } from "./weight-memory.ts";

/** How llama.cpp packs weights on a processor, by its architecture and the flags that the system tells of it. */
export function cpuPackingOf(architecture: string, flags: ReadonlySet<string>): CpuPacking {
  if (architecture === "arm64") return "neon";
  if (flags.has("amx_int8") && flags.has("avx512_vnni")) return "amx";
  if (flags.has("avx512f") && flags.has("avx512bw")) return "avx512";
  return flags.has("avx2") ? "avx2" : "none";
}

/** The flags in `/proc/cpuinfo`. */
export const cpuFlags = (cpuinfo: string): ReadonlySet<string> =>
  new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
