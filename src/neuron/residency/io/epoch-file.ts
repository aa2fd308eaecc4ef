import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";

/** The highest epoch of an apply that this neuron has obeyed, over restarts. */
export interface EpochFile {
  readonly highest: number;
  /** On disk when it resolves; one that is not above the highest changes nothing. */
  keep(epoch: number): Promise<void>;
}

/**
 * Reads what was kept. A file that says nothing of use stops the start: to begin at 0 would let an apply act that was
 * over long ago.
 */
export async function openEpochFile(directory: string | undefined): Promise<EpochFile> {
  if (directory === undefined) return new KeptEpoch(null, 0);
  const path = join(directory, "epoch");
  return new KeptEpoch(path, await readEpoch(path));
}

async function readEpoch(path: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return 0;
    throw thrown;
  }
  if (/^\d{1,15}\n$/.test(text)) return Number(text);
  throw new CortexError("internal_error", `${path} does not hold an epoch`, {
    next: "restore the file, or remove it when no other apply of this fleet can still be running",
  });
}

class KeptEpoch implements EpochFile {
  readonly #path: string | null;
  #highest: number;
  #writes: Promise<void> = Promise.resolve();

  constructor(path: string | null, highest: number) {
    this.#path = path;
    this.#highest = highest;
  }

  get highest(): number {
    return this.#highest;
  }

  keep(epoch: number): Promise<void> {
    const write = this.#writes.then(() => this.#write(epoch));
    // The next one writes whatever became of this one.
    this.#writes = write.catch(() => undefined);
    return write;
  }

  async #write(epoch: number): Promise<void> {
    if (epoch <= this.#highest) return;
    if (this.#path !== null) await replaceDurably(this.#path, `${epoch}\n`);
    this.#highest = epoch;
  }
}
