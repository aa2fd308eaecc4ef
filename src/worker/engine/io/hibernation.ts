import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Llama, LlamaContext, LlamaModel, Token } from "node-llama-cpp";
import { canonicalDigest } from "../../../core/canonical-digest.ts";
import type { Clock } from "../../../core/clock.ts";
import { toCortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { WorkerStart } from "../../../protocol/worker-messages.ts";
import { sharedPrefixLength } from "../choose-slot.ts";
import {
  bestState,
  coveredBy,
  readStateRecord,
  stateRecord,
  type HibernatedState,
} from "../hibernated-states.ts";
import type { Slot } from "./llama-slots.ts";
import type { Steps } from "./llama-steps.ts";
import { fileSha256, modelIdentity } from "./model-file.ts";

interface HibernationOptions {
  /** States of this model in these settings, and of no other. */
  readonly directory: string;
  readonly mostBytes: number;
  /** What would be computed again in less time is not written. */
  readonly leastRecomputeMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** States of slots that outlive the process: written when it ends, and taken up again by prompts that begin like them. */
export interface Hibernation {
  /** Gives the slot the state that spares the prompt most, if there is one. The slot may be empty after it. */
  wake(slot: Slot, prompt: readonly number[], steps: Pick<Steps, "betweenSteps">): Promise<void>;
  /** What computing a prompt has cost. */
  measured(tokens: number, durationMs: number): void;
  /** Writes what is worth it, longest first, and begins nothing after the deadline. */
  keep(slots: readonly Slot[], deadlineMs: number): Promise<void>;
}

interface HibernatingModel {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext | undefined;
  readonly options: Pick<HibernationOptions, "clock" | "logger"> & {
    readonly modelPath: string;
    readonly parallel: number;
    readonly settings: Pick<WorkerStart, "kv_cache_type" | "lora">;
    readonly hibernation?: WorkerStart["hibernation"];
  };
}

/**
 * States are kept apart by all that they depend on. Not for models whose state cannot be cut where a prompt parts from
 * it: recurrent ones, and those with a sliding window.
 */
export async function startHibernation(loaded: HibernatingModel): Promise<Hibernation | undefined> {
  const { llama, model, context, options } = loaded;
  const { hibernation, clock, logger } = options;
  if (hibernation === undefined || context === undefined) return undefined;
  const { isRecurrent, isHybrid, swaSize } = model.fileInsights;
  if (isRecurrent || isHybrid || swaSize !== undefined) return undefined;
  const key = canonicalDigest([
    await modelIdentity(options.modelPath),
    llama.llamaCppRelease,
    llama.gpu,
    model.gpuLayers,
    context.contextSize,
    options.parallel,
    context.flashAttention,
    options.settings.kv_cache_type ?? null,
    // Other adapters write other states.
    ...(await Promise.all(
      (options.settings.lora ?? []).map(async ({ path, scale }) => [await modelIdentity(path), scale]),
    )),
  ]);
  return openHibernation({
    directory: join(hibernation.directory, key.slice(0, 32)),
    mostBytes: hibernation.most_bytes,
    leastRecomputeMs: hibernation.least_recompute_ms,
    clock,
    logger,
  }).catch((thrown: unknown) => {
    logger.warn({ err: thrown }, "conversations of this model do not hibernate");
    return undefined;
  });
}

async function openHibernation(options: HibernationOptions): Promise<Hibernation> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const states = new Map<string, HibernatedState>();
  for (const name of await readdir(options.directory)) {
    const id = /^([\w-]+)\.json$/.exec(name)?.[1];
    if (id === undefined) continue;
    const state = readStateRecord(id, await readFile(join(options.directory, name), "utf8"));
    if (state !== undefined) states.set(id, state);
  }
  return new HibernatedSlots(options, states);
}

class HibernatedSlots implements Hibernation {
  readonly #options: HibernationOptions;
  readonly #states: Map<string, HibernatedState>;
  #computedTokens = 0;
  #computingMs = 0;

  constructor(options: HibernationOptions, states: Map<string, HibernatedState>) {
    this.#options = options;
    this.#states = states;
  }

  measured(tokens: number, durationMs: number): void {
    this.#computedTokens += tokens;
    this.#computingMs += durationMs;
  }

  async wake(slot: Slot, prompt: readonly number[], steps: Pick<Steps, "betweenSteps">): Promise<void> {
    if (this.#states.size === 0) return;
    const shared = sharedPrefixLength(slot.sequence.contextTokens, prompt);
    const state = bestState(this.#states.values(), prompt, shared);
    if (state === undefined) return;
    const path = this.#pathOf(state, "state");
    try {
      await this.#check(state, path);
      await steps.betweenSteps(() => slot.sequence.loadStateFromFile(path, { acceptRisk: true }));
      const { contextTokens } = slot.sequence;
      if (sharedPrefixLength(contextTokens, state.tokens) !== state.tokens.length) {
        throw new Error("the state holds other tokens than its record says");
      }
      const now = new Date(this.#options.clock.nowMs());
      await utimes(this.#pathOf(state, "json"), now, now);
    } catch (thrown) {
      // Never trusted: whatever of it may be in the slot goes.
      await steps.betweenSteps(() => slot.sequence.clearHistory());
      await this.#remove(state);
      this.#options.logger.warn(
        { reason: toCortexError(thrown).message },
        "a hibernated state was dropped; its prompt is computed anew",
      );
    }
  }

  async keep(slots: readonly Slot[], deadlineMs: number): Promise<void> {
    const { clock, logger, mostBytes } = this.#options;
    const longestFirst = slots.toSorted(
      (a, b) => b.sequence.contextTokens.length - a.sequence.contextTokens.length,
    );
    let writtenBytes = 0;
    for (const slot of longestFirst) {
      if (clock.monotonicMs() > deadlineMs || writtenBytes >= mostBytes) return;
      try {
        writtenBytes += await this.#keepOne(slot, mostBytes - writtenBytes);
      } catch (thrown) {
        logger.warn({ reason: toCortexError(thrown).message }, "the state of a slot was not kept");
      }
    }
  }

  async #keepOne(slot: Slot, roomBytes: number): Promise<number> {
    const tokens = slot.sequence.contextTokens;
    if (!this.#isWorthIt(tokens) || this.#isKept(tokens)) return 0;
    const id = randomUUID();
    const draft = join(this.#options.directory, `${id}.partial`);
    try {
      const { fileSize: bytes } = await slot.sequence.saveStateToFile(draft);
      if (bytes > roomBytes) return 0;
      const state = { id, tokens, bytes, sha256: await fileSha256(draft) };
      await rename(draft, this.#pathOf(state, "state"));
      const superfluous = coveredBy(this.#states.values(), tokens);
      await writeFile(this.#pathOf(state, "json"), stateRecord(state), { mode: 0o600 });
      this.#states.set(id, state);
      for (const old of superfluous) await this.#remove(old);
      return bytes;
    } finally {
      await rm(draft, { force: true });
    }
  }

  #isWorthIt(tokens: readonly Token[]): boolean {
    if (tokens.length === 0) return false;
    const msPerToken = this.#computedTokens === 0 ? 1 : this.#computingMs / this.#computedTokens;
    return tokens.length * msPerToken >= this.#options.leastRecomputeMs;
  }

  #isKept(tokens: readonly Token[]): boolean {
    return [...this.#states.values()].some(
      (state) => sharedPrefixLength(state.tokens, tokens) === tokens.length,
    );
  }

  async #check(state: HibernatedState, path: string): Promise<void> {
    const { size } = await stat(path);
    if (size !== state.bytes || (await fileSha256(path)) !== state.sha256) {
      throw new Error("the file is not the one that was written");
    }
  }

  async #remove(state: HibernatedState): Promise<void> {
    this.#states.delete(state.id);
    await rm(this.#pathOf(state, "json"), { force: true });
    await rm(this.#pathOf(state, "state"), { force: true });
  }

  #pathOf({ id }: { readonly id: string }, kind: "state" | "json"): string {
    return join(this.#options.directory, `${id}.${kind}`);
  }
}
