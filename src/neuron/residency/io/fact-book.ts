import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../../platform/logger.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";
import { readFacts, rememberLoad, writeFacts, type LoadFact, type LoadFacts } from "../load-facts.ts";

/** What loads taught, over restarts. */
export interface FactBook {
  readonly facts: LoadFacts;
  remember(fact: LoadFact): void;
  /** Resolves when what was remembered is on disk, or could not be written. */
  flush(): Promise<void>;
}

/** Reads what was kept; without a directory nothing outlives the process. */
export async function openFactBook(directory: string | undefined, logger: Logger): Promise<FactBook> {
  const path = directory === undefined ? null : join(directory, "load-facts.json");
  let facts: LoadFacts = path === null ? [] : readFacts(await readFile(path, "utf8").catch(() => ""));
  let writing: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    try {
      if (path !== null) await replaceDurably(path, writeFacts(facts));
    } catch (thrown) {
      logger.warn({ err: thrown, path }, "what was learnt about loads could not be kept");
    }
  };
  return {
    get facts() {
      return facts;
    },
    remember: (fact) => {
      facts = rememberLoad(facts, fact);
      writing = writing.then(write);
    },
    flush: () => writing,
  };
}
