import { execFile } from "node:child_process";
import { totalmem } from "node:os";
import { systemErrorCode } from "../../../core/errors.ts";
import { present } from "../../../core/present.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import {
  describeDevices,
  parseCards,
  type Card,
  type DeviceQueryField,
  type DeviceReport,
  type HostMemory,
} from "../describe-device.ts";
import { readPartitions, type Partition } from "../partitions.ts";

/** Where the driver's tool is, and what it runs with. */
export interface DriverTool {
  /** A name that is searched in PATH or a path; where it usually is by default. */
  readonly nvidiaSmi?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What came of a question to the driver. */
export type DriverAnswer =
  | { readonly kind: "answered"; readonly report: DeviceReport }
  | { readonly kind: "absent" }
  /** The tool is there and gives no devices; the reason is in its own words where it has some. */
  | { readonly kind: "failed"; readonly reason: string };

const ANSWER_TIMEOUT_MS = 5_000;
const MAX_OUTPUT_BYTES = 4 * MIB_BYTES;
/** Services have a PATH without the place where Windows puts it for Linux. */
const USUAL_TOOLS = ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];

/** All devices, or with `id` (a card's uuid or index) those of one card. Never rejects. */
export async function askDriver(
  tool: DriverTool,
  { fields, id }: { readonly fields: readonly DeviceQueryField[]; readonly id?: string },
): Promise<DriverAnswer> {
  const only = id === undefined ? [] : [`--id=${id}`];
  const args = [...only, `--query-gpu=${fields.join(",")}`, "--format=csv,noheader,nounits"];
  const ran = await runTool(tool, args);
  if (ran.kind === "absent") return ran;
  if (ran.kind === "failed" && ran.stdout.trim() === "") return { kind: "failed", reason: ran.reason };
  const listing = parseCards(ran.stdout, fields);
  // One card that is gone can fail the whole question after the others were listed, or be told of on stderr alone.
  if (ran.kind === "failed" && listing.cards.length === 0) return { kind: "failed", reason: ran.reason };
  const partitions = await askPartitions(tool, listing.cards);
  const report = describeDevices(listing, { partitions, host: hostMemory() });
  return { kind: "answered", report: { ...report, problems: [...report.problems, ...linesOf(ran.stderr)] } };
}

/** Only a machine that has some pays for the longer questions. */
async function askPartitions(tool: DriverTool, cards: readonly Card[]): Promise<readonly Partition[]> {
  if (!cards.some(({ isPartitioned }) => isPartitioned)) return [];
  const [listing, report] = await Promise.all([runTool(tool, ["-L"]), runTool(tool, ["-q", "-x"])]);
  if (listing.kind === "absent" || report.kind === "absent") return [];
  return readPartitions(listing.stdout, report.stdout);
}

export const hostMemory = (): HostMemory => ({
  physicalBytes: totalmem(),
  constrainedBytes: process.constrainedMemory() || null,
  availableBytes: process.availableMemory(),
});

type Ran =
  | { readonly kind: "done"; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly stdout: string; readonly stderr: string; readonly reason: string };

async function runTool(tool: DriverTool, args: readonly string[]): Promise<Ran> {
  const places = tool.nvidiaSmi === undefined ? USUAL_TOOLS : [tool.nvidiaSmi];
  for (const place of places) {
    const ran = await runAt(place, { args, environment: tool.environment });
    if (ran.kind !== "absent") return ran;
  }
  return { kind: "absent" };
}

function runAt(
  place: string,
  { args, environment }: { readonly args: readonly string[] } & Pick<DriverTool, "environment">,
): Promise<Ran> {
  const settings = {
    timeout: ANSWER_TIMEOUT_MS,
    killSignal: "SIGKILL" as const,
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { ...environment, LC_ALL: "C" },
  };
  return new Promise((resolve) => {
    execFile(place, [...args], settings, (error, stdout, stderr) => {
      const code = error === null ? undefined : systemErrorCode(error);
      if (error === null) resolve({ kind: "done", stdout, stderr });
      else if (code === "ENOENT") resolve({ kind: "absent" });
      else if (error.killed === true) {
        // What it said before it hung may be half a line.
        const reason = `nvidia-smi did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
        resolve({ kind: "failed", stdout: "", stderr, reason });
      } else {
        const reason = whyNotRun(place, code) ?? failureText(stdout, stderr, error.message);
        resolve({ kind: "failed", stdout, stderr, reason });
      }
    });
  });
}

/** The system's own reasons, which are no words of the tool. */
function whyNotRun(place: string, code: string | undefined): string | null {
  if (code === "EACCES" || code === "EPERM") {
    return `this user may not run ${place} (${code}): the driver may be there, and its devices cannot be seen`;
  }
  return code === "ENOEXEC" ? `${place} is no program for this machine (${code})` : null;
}

/** The tool prints its complaint on stdout; the first line says it, and the second which library did not fit. */
function failureText(stdout: string, stderr: string, fallback: string): string {
  const text = [stdout, stderr, fallback].find((candidate) => candidate.trim() !== "") ?? fallback;
  const [first, second = ""] = linesOf(text);
  const version = /^NVML library version: \S+$/.test(second) ? ` (${second})` : "";
  return `nvidia-smi failed: ${present(first, "the first line").slice(0, 300)}${version}`;
}

const linesOf = (text: string): readonly string[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
