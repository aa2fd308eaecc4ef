import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";
import { UNNAMED_FLEET } from "../residency-state.ts";

/** The highest epochs of applies that this neuron has obeyed, by fleet, over restarts. */
export interface EpochFile {
  readonly highest: ReadonlyMap<string, number>;
  /** On disk when it resolves; one that is not above the highest changes nothing. */
  keep(fleet: string | undefined, epoch: number): Promise<void>;
}

/**
 * Reads what was kept. A file that says nothing of use stops the start: to begin at 0 would let an apply act that was
 * over long ago.
 */
export async function openEpochFile(directory: string | undefined): Promise<EpochFile> {
  if (directory === undefined) return new KeptEpochs(null, new Map());
  const path = join(directory, "epoch");
  return new KeptEpochs(path, await readEpochs(path));
}

async function readEpochs(path: string): Promise<Map<string, number>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return new Map();
    throw thrown;
  }
  const lines = text.split("\n").slice(0, -1).map(readLine);
  if (lines.length > 0 && text.endsWith("\n") && lines.every((line) => line !== undefined))
    return new Map(lines);
  throw new CortexError("internal_error", `${path} does not hold an epoch`, {
    next: "restore the file, or remove it when no other apply of this fleet can still be running",
  });
}

/** "12 home"; a line without a name is what was kept before there were names. */
function readLine(line: string): [fleet: string, epoch: number] | undefined {
  const [, digits, fleet = UNNAMED_FLEET] = /^(\d{1,15})(?: (\S+))?$/.exec(line) ?? [];
  return digits === undefined ? undefined : [fleet, Number(digits)];
}

const lineOf = ([fleet, epoch]: readonly [string, number]): string =>
  fleet === UNNAMED_FLEET ? `${epoch}\n` : `${epoch} ${fleet}\n`;

class KeptEpochs implements EpochFile {
  readonly #path: string | null;
  #highest: ReadonlyMap<string, number>;
  #writes: Promise<void> = Promise.resolve();

  constructor(path: string | null, highest: ReadonlyMap<string, number>) {
    this.#path = path;
    this.#highest = highest;
  }

  get highest(): ReadonlyMap<string, number> {
    return this.#highest;
  }

  keep(fleet: string | undefined, epoch: number): Promise<void> {
    const write = this.#writes.then(() => this.#write(fleet ?? UNNAMED_FLEET, epoch));
    // The next one writes whatever became of this one.
    this.#writes = write.catch(() => undefined);
    return write;
  }

  async #write(fleet: string, epoch: number): Promise<void> {
    if (epoch <= (this.#highest.get(fleet) ?? 0)) return;
    const next = new Map([...this.#highest, [fleet, epoch]]);
    if (this.#path !== null) await replaceDurably(this.#path, [...next].map(lineOf).join(""));
    this.#highest = next;
  }
}
