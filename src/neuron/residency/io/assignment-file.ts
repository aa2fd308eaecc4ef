import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";
import { awaitedReturns } from "../restarts.ts";
import { assignmentOf, readAssignment, writeAssignment, type AssignedModel } from "../assignment.ts";
import type { ResidencyLoop } from "./residency-loop.ts";

/** What a neuron holds, on disk after each change, for the one that comes after it. */
export class AssignmentFile {
  readonly #path: string | null;
  readonly #logger: Logger;
  #written = "";
  #isLeft = false;
  #writing: Promise<void> = Promise.resolve();
  readonly #followed = Promise.withResolvers<() => void>();

  constructor(directory: string | undefined, logger: Logger) {
    this.#path = directory === undefined ? null : join(directory, "assignment.json");
    this.#logger = logger;
  }

  /** What the neuron before this one held. A file that cannot be read is told of, and nothing is restored. */
  async read(): Promise<readonly AssignedModel[]> {
    if (this.#path === null) return [];
    const path = this.#path;
    const text = await readFile(path, "utf8").catch((thrown: unknown) => {
      if (systemErrorCode(thrown) !== "ENOENT")
        this.#logger.error({ err: thrown, path }, "the assignment cannot be read: nothing is restored");
      return null;
    });
    if (text === null) return [];
    const models = readAssignment(text);
    if (models === null)
      this.#logger.error({ path }, "the assignment is not understood: nothing is restored");
    return models ?? [];
  }

  /**
   * Follows the loop from now on. A shutdown changes nothing in the file: what was held then is what the next neuron is
   * to hold.
   */
  follow(loop: ResidencyLoop): void {
    const keep = (): void => {
      if (this.#isLeft || loop.state.mode === "closing") return;
      const text = writeAssignment(assignmentOf(loop.state, (instance) => loop.addressOf(instance)));
      if (text === this.#written) return;
      this.#written = text;
      this.#writing = this.#writing.then(() => this.#write(text));
    };
    this.#followed.resolve(keep);
    let seen = "";
    loop.onChange(() => {
      // Every request changes the state; only who is there matters here.
      const here = [...loop.state.models.values()].map(
        ({ instance, phase, pid }) => `${instance} ${phase.name} ${pid}`,
      );
      const awaited = awaitedReturns(loop.state.restarts).map(({ instance }) => instance);
      const now = [...here, "awaited", ...awaited].join();
      if (now === seen) return;
      seen = now;
      keep();
    });
    keep();
  }

  /**
   * Resolves once what is held now is on disk, or the log says why it is not. Before `follow` it waits: until then the
   * file speaks of the neuron before.
   */
  async kept(): Promise<void> {
    if (this.#path === null) return;
    const keep = await this.#followed.promise;
    keep();
    // A text that a newer one has overtaken is on disk with that one.
    let writing: Promise<void>;
    do {
      writing = this.#writing;
      await writing;
    } while (writing !== this.#writing);
  }

  /** Leaves the file to the next neuron: what becomes of the workers from now on is not this one's to tell. */
  leave(): Promise<void> {
    this.#isLeft = true;
    return this.#writing;
  }

  async #write(text: string): Promise<void> {
    try {
      // A newer one is on its way already.
      if (this.#path !== null && text === this.#written) await replaceDurably(this.#path, text);
    } catch (thrown) {
      this.#logger.error({ err: thrown, path: this.#path }, "the assignment could not be kept");
    }
  }
}
