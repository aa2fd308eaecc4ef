import { assertNever } from "../core/assert-never.ts";
import { formatBytes, formatMib } from "../core/quantities.ts";
import type { Finding } from "../protocol/findings/doctor-report.ts";
import type { Device } from "../protocol/neuron-api.ts";
import { judgeCertificates, type CertificateFile } from "./judge-certificates.ts";
import { note, problem, warning, well } from "./found.ts";

export interface DeviceFile {
  readonly path: string;
  readonly isUsable: boolean;
}

export interface DirectoryFacts {
  readonly path: string;
  readonly exists: boolean;
  readonly isReadable: boolean;
  readonly isWritable: boolean;
  /** Of its file system; null where that cannot be told. */
  readonly freeBytes: number | null;
}

/** Who has a port: nobody, a program of cortex (by what it answers), or another one. */
export type PortHolder =
  | { readonly kind: "free" }
  | { readonly kind: "cortex" }
  | { readonly kind: "other" }
  | { readonly kind: "forbidden"; readonly reason: string };

export interface PortFacts {
  readonly address: string;
  /** "neuron", "gateway", "metrics of the gateway". */
  readonly purpose: string;
  readonly holder: PortHolder;
}

/** What was seen of this machine. */
export interface MachineFacts {
  readonly nodeVersion: string;
  readonly neededNode: string;
  readonly engine: { readonly needed: string; readonly installed: string | null };
  readonly driverVersion: string | null;
  readonly cudaUnavailableReason: string | null;
  readonly devices: readonly Device[];
  /** The card's device files, where there are any. */
  readonly deviceFiles: readonly DeviceFile[];
  /** CUDA_VISIBLE_DEVICES; undefined where it is not set. */
  readonly visibleDevices: string | undefined;
  readonly user: string;
  readonly dataDirectory: DirectoryFacts;
  readonly modelRoots: readonly DirectoryFacts[];
  readonly tokenFiles: readonly { readonly path: string; readonly problem: Mend | null }[];
  readonly ports: readonly PortFacts[];
  /** Of the fleet, as they lie here. */
  readonly certificates: readonly CertificateFile[];
  readonly nowMs: number;
}

interface Mend {
  readonly message: string;
  readonly next: string;
}

/** The oldest driver that runs CUDA 12, which the engine is built for. */
const NEEDED_DRIVER = 525;
const GIB = 1024 ** 3;
const DRIVER_MENDS: readonly (readonly [RegExp, string])[] = [
  [/version mismatch/i, "the driver was updated under the running system: restart the machine"],
  [
    /NVML: Unknown Error/i,
    "in a container: start it anew, its devices were taken away; else restart the machine",
  ],
  [/may not run/, "give this user the right to execute it: ls -l `which nvidia-smi`"],
  [
    /Insufficient Permissions/i,
    "give this user access to /dev/nvidia*: sudo usermod -aG video,render, and log in again",
  ],
  [
    /couldn't communicate/i,
    "load the driver: sudo modprobe nvidia; after an update of the kernel install the driver anew",
  ],
  [/couldn't find libnvidia-ml/i, "install the driver's libraries; in a container start it with --gpus all"],
  [/blocked by the operating system/i, "update Windows' driver and WSL (wsl --update), then restart WSL"],
  [/is lost|No devices were found/i, "see dmesg for Xid; a restart of the machine brings a card back"],
  [/MIG mode/, "make instances, or turn MIG off, as it says"],
  [/how much memory/, "give this user the right to see the card's memory, or divide the card (MIG)"],
];
/** A model of some use takes that much. */
const LITTLE_DISK_BYTES = 20 * GIB;
const NO_DISK_BYTES = GIB;

export const judgeMachine = (facts: MachineFacts): readonly Finding[] => [
  judgeNode(facts),
  judgeEngine(facts),
  ...judgeDriver(facts),
  ...judgeVisibility(facts),
  ...judgeDeviceFiles(facts),
  judgeDataDirectory(facts.dataDirectory),
  ...facts.modelRoots.map(judgeModelRoot),
  ...facts.tokenFiles.map(({ path, problem: trouble }) =>
    trouble === null
      ? well({ check: "token-file", subject: path }, "only its owner can read it")
      : problem({ check: "token-file", subject: path }, trouble.message, trouble.next),
  ),
  ...judgeCertificates(facts.certificates, facts.nowMs),
  ...facts.ports.map(judgePort),
];

function judgeNode({ nodeVersion, neededNode }: MachineFacts): Finding {
  const [major, needed] = [majorOf(nodeVersion), majorOf(neededNode)];
  return major >= needed
    ? well({ check: "node" }, `Node ${nodeVersion}`)
    : problem(
        { check: "node" },
        `Node ${nodeVersion}, and cortex needs ${neededNode}`,
        `install Node ${needed} or later`,
      );
}

const majorOf = (version: string): number => Number(/\d+/.exec(version)?.[0] ?? 0);

function judgeEngine({ engine: { needed, installed } }: MachineFacts): Finding {
  const subject = { check: "engine", subject: "node-llama-cpp" } as const;
  if (installed === null)
    return warning(
      subject,
      `${needed} is not installed: this machine can be a gateway, and a neuron for external engines only`,
      `npm install --global node-llama-cpp@${needed}`,
    );
  return installed === needed
    ? well(subject, installed)
    : problem(
        subject,
        `${installed} is installed, and cortex was made for ${needed}`,
        `npm install --global node-llama-cpp@${needed}`,
      );
}

function judgeDriver({ driverVersion, cudaUnavailableReason, devices }: MachineFacts): readonly Finding[] {
  const subject = { check: "driver" } as const;
  if (cudaUnavailableReason !== null) {
    const [, mend] = DRIVER_MENDS.find(([words]) => words.test(cudaUnavailableReason)) ?? [];
    return [problem(subject, cudaUnavailableReason, mend ?? "run nvidia-smi by hand, and see dmesg")];
  }
  const cards = devices.map(({ name, vram_total_mb: total }) => `${name} ${formatMib(total)}`).join(", ");
  if (driverVersion === null) {
    const isGpu = devices.some(({ kind }) => kind !== "cpu");
    return isGpu
      ? [well(subject, `${devices[0]?.kind ?? ""}: ${cards}`)]
      : [note(subject, "no GPU: a neuron here computes on the processor")];
  }
  return majorOf(driverVersion) < NEEDED_DRIVER
    ? [
        problem(
          subject,
          `${driverVersion} is older than CUDA 12 needs (${NEEDED_DRIVER})`,
          "install a newer driver, then restart the machine",
        ),
      ]
    : [well(subject, `${driverVersion}: ${cards}`)];
}

/** A worker gets its own value for its own devices: what is set around the neuron hides devices from all of them. */
function judgeVisibility({ visibleDevices, driverVersion }: MachineFacts): readonly Finding[] {
  if (visibleDevices === undefined || driverVersion === null) return [];
  return [
    warning(
      { check: "cuda-visibility" },
      `CUDA_VISIBLE_DEVICES=${visibleDevices} is set: a neuron started here may place models on devices that its workers cannot see`,
      "unset CUDA_VISIBLE_DEVICES before the neuron is started; fleet files say which devices a model gets",
    ),
  ];
}

function judgeDeviceFiles({ deviceFiles, user, driverVersion }: MachineFacts): readonly Finding[] {
  if (deviceFiles.length === 0) {
    if (driverVersion === null) return [];
    return [
      problem(
        { check: "device-permissions" },
        "the driver answers, and there is no /dev/nvidia0",
        "nvidia-modprobe -u -c=0; in a container, start it with --gpus all",
      ),
    ];
  }
  const closed = deviceFiles.filter(({ isUsable }) => !isUsable).map(({ path }) => path);
  return closed.length === 0
    ? [
        well(
          { check: "device-permissions" },
          `${user} may use ${deviceFiles.map(({ path }) => path).join(", ")}`,
        ),
      ]
    : [
        problem(
          { check: "device-permissions" },
          `${user} may not use ${closed.join(", ")}`,
          `sudo usermod -aG video,render ${user}, and log in again`,
        ),
      ];
}

function judgeDataDirectory({ path, isWritable }: DirectoryFacts): Finding {
  return isWritable
    ? well({ check: "data-directory", subject: path }, "can be written to")
    : problem(
        { check: "data-directory", subject: path },
        "cannot be written to: usage, facts of models and the cache of fleets are kept there",
        `give it to the user that runs cortex, or name another one: CORTEX_DATA_DIR`,
      );
}

function judgeModelRoot(root: DirectoryFacts): Finding {
  const { path, exists, isReadable, isWritable, freeBytes } = root;
  const subject = { check: "model-root", subject: path } as const;
  if (!exists && !isWritable)
    return problem(subject, "is not there and cannot be made", `sudo install -d -o "$USER" ${path}`);
  if (exists && !isReadable) return problem(subject, "cannot be read", `chmod u+rx ${path}`);
  const room = freeBytes === null ? "" : `, ${formatBytes(freeBytes)} free`;
  if (freeBytes !== null && freeBytes < LITTLE_DISK_BYTES) {
    const say = freeBytes < NO_DISK_BYTES ? problem : warning;
    return say(subject, `hardly a model fits${room}`, "cortex store gc, or a larger disk");
  }
  if (!exists) return well(subject, `is made when it is needed${room}`);
  return isWritable
    ? well(subject, `can be written to${room}`)
    : note(subject, `can be read, not written to: nothing is downloaded here${room}`);
}

function judgePort({ address, purpose, holder }: PortFacts): Finding {
  const subject = { check: "port", subject: address } as const;
  switch (holder.kind) {
    case "free":
      return well(subject, `free for the ${purpose}`);
    case "cortex":
      return well(subject, `cortex listens there (${purpose})`);
    case "other":
      return problem(
        subject,
        `another program listens where the ${purpose} would`,
        `see which: ss -ltnp 'sport = :${address.split(":").at(-1) ?? ""}'; stop it, or give cortex another port`,
      );
    case "forbidden":
      return problem(
        subject,
        `the ${purpose} could not listen there (${holder.reason})`,
        "choose an address of this machine and a port above 1023",
      );
    default:
      return assertNever(holder);
  }
}
