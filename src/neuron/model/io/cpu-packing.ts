import { readFile } from "node:fs/promises";
import { arch } from "node:os";
import { cpuFlags, cpuPackingOf } from "../cpu-packing.ts";
import type { CpuPacking } from "../weight-memory.ts";

/** Of this machine. Where the system does not tell its flags, nothing is taken to be packed. */
export async function readCpuPacking(): Promise<CpuPacking> {
  const cpuinfo = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  return cpuPackingOf(arch(), cpuFlags(cpuinfo));
}
