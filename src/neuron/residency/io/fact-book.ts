import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../../platform/logger.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";
import type { Calibration } from "../../../protocol/worker-messages.ts";
import {
  readLearnt,
  rememberLoad,
  rememberThreads,
  threadsFor,
  writeLearnt,
  type LoadFact,
  type LoadFacts,
} from "../load-facts.ts";

/** What loads taught, over restarts. */
export interface FactBook {
  readonly facts: LoadFacts;
  remember(fact: LoadFact): void;
  /** Choices of threads that may be about a file of this size. */
  calibrations(fileBytes: number): readonly Calibration[];
  rememberThreads(fileBytes: number, calibration: Calibration): void;
  /** Resolves when what was remembered is on disk, or could not be written. */
  flush(): Promise<void>;
}

/** Reads what was kept; without a directory nothing outlives the process. */
export async function openFactBook(directory: string | undefined, logger: Logger): Promise<FactBook> {
  const path = directory === undefined ? null : join(directory, "load-facts.json");
  let learnt = readLearnt(path === null ? "" : await readFile(path, "utf8").catch(() => ""));
  let writing: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    try {
      if (path !== null) await replaceDurably(path, writeLearnt(learnt));
    } catch (thrown) {
      logger.warn({ err: thrown, path }, "what was learnt about loads could not be kept");
    }
  };
  return {
    get facts() {
      return learnt.facts;
    },
    remember: (fact) => {
      learnt = { ...learnt, facts: rememberLoad(learnt.facts, fact) };
      writing = writing.then(write);
    },
    calibrations: (fileBytes) => threadsFor(learnt.threads, fileBytes),
    rememberThreads: (fileBytes, calibration) => {
      const threads = rememberThreads(learnt.threads, { file_bytes: fileBytes, calibration });
      learnt = { ...learnt, threads };
      writing = writing.then(write);
    },
    flush: () => writing,
  };
}
