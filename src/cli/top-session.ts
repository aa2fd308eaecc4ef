import { emitKeypressEvents, type Interface, type Key } from "node:readline";
import { assertNever } from "../core/assert-never.ts";
import type { Clock } from "../core/clock.ts";
import { toCortexError } from "../core/errors.ts";
import { sleptThrough } from "../core/interruptible-sleep.ts";
import type { FleetStateEvent } from "../protocol/gateway-api.ts";
import type { RequestSummary } from "../protocol/request-explanation.ts";
import { LineScreen, type Terminal } from "./screen/line-screen.ts";
import { reduceTop } from "./top/reduce-top.ts";
import { topFrame } from "./top/top-frame.ts";
import {
  initialTop,
  type Change,
  type SyncFacts,
  type TextAsked,
  type TopEffect,
  type TopEvent,
  type TopState,
} from "./top/top-state.ts";

/** What a session of `cortex top` asks of the fleet. */
export interface TopSources {
  /** Ends when the signal aborts; throws only before the first event. */
  readonly follow: (signal: AbortSignal) => AsyncIterable<FollowedEvent>;
  readonly requests: () => Promise<readonly RequestSummary[]>;
  /** Null where no history and no branch can be read. */
  readonly sync: () => Promise<SyncFacts | null>;
  readonly text: (of: TextAsked) => Promise<string>;
  /** Resolves with what came of it; tells before that when it has begun. */
  readonly change: (change: Change, onBegun: () => void) => Promise<string>;
}

export type FollowedEvent =
  | { readonly kind: "fleet-told"; readonly event: FleetStateEvent }
  | { readonly kind: "stream-broken"; readonly problem: string; readonly retryInMs: number };

export interface TopSessionOptions {
  readonly sources: TopSources;
  readonly terminal: Terminal;
  readonly input: NodeJS.ReadStream;
  readonly onResize: (listener: () => void) => () => void;
  readonly look: { readonly colour: boolean; readonly unicode: boolean };
  readonly clock: Clock;
  /** Ends the session from outside. */
  readonly signal: AbortSignal;
}

/** Ten frames a second at most: more is seen by nobody. */
const FRAME_MS = 100;
const TICK_MS = 1000;
const REQUESTS_EVERY_MS = 2000;
const SYNC_EVERY_MS = 30_000;

/** The escape key alone is a key soon after, not half a second later, as where people type Meta by hand. */
const QUICK_ESCAPE = { escapeCodeTimeout: 50 } as unknown as Interface;

/** One loop: events into the reducer, effects out of it, a frame when something is different. */
export class TopSession {
  readonly #options: TopSessionOptions;
  readonly #screen: LineScreen;
  readonly #over = new AbortController();
  #state: TopState;
  #isDirty = true;
  #cancelFrame: (() => void) | undefined;
  #drawnAtMs = -Infinity;

  constructor(options: TopSessionOptions) {
    this.#options = options;
    this.#screen = new LineScreen(options.terminal);
    this.#state = initialTop(options.clock.nowMs());
  }

  /** Until the user leaves. Throws when the gateway cannot be followed at all. */
  async run(): Promise<void> {
    const { signal, input, onResize } = this.#options;
    const leave = (): void => this.#over.abort();
    if (signal.aborted) return;
    signal.addEventListener("abort", leave, { once: true });
    const stopResize = onResize(() => {
      this.#draw();
    });
    const onKey = (text: string | undefined, key: Key): void => {
      this.#press(text, key);
    };
    emitKeypressEvents(input, QUICK_ESCAPE);
    input.setRawMode(true);
    input.on("keypress", onKey);
    input.resume();
    this.#screen.open();
    this.#draw();
    try {
      await Promise.all([
        this.#follow(),
        this.#every(TICK_MS, () =>
          this.#dispatch({ kind: "clock-ticked", nowMs: this.#options.clock.nowMs() }),
        ),
        this.#every(REQUESTS_EVERY_MS, () => this.#readRequests()),
        this.#every(SYNC_EVERY_MS, () => this.#readSync()),
        this.#readRequests(),
        this.#readSync(),
      ]);
    } finally {
      this.#over.abort();
      this.#cancelFrame?.();
      signal.removeEventListener("abort", leave);
      stopResize();
      input.off("keypress", onKey);
      input.setRawMode(false);
      input.pause();
      this.#screen.close();
    }
  }

  async #follow(): Promise<void> {
    for await (const told of this.#options.sources.follow(this.#over.signal)) this.#dispatch(told);
    this.#over.abort();
  }

  async #every(durationMs: number, act: () => void | Promise<void>): Promise<void> {
    const { clock } = this.#options;
    while (await sleptThrough(clock, durationMs, this.#over.signal)) await act();
  }

  #press(text: string | undefined, { name, ctrl, shift, sequence = "" }: Key): void {
    // Keys with a name of their own (arrows) come with a sequence that is no text.
    const isText = text !== undefined && text >= " " && !text.startsWith("\u001B") && text !== "\u007F";
    const keyName = name === "tab" && shift === true ? "backtab" : (name ?? (isText ? "" : sequence));
    const named = keyName === "enter" ? "return" : keyName;
    this.#dispatch({
      kind: "key-pressed",
      key: { name: named, text: isText && ctrl !== true ? text : "", isCtrl: ctrl === true },
    });
  }

  #dispatch(event: TopEvent): void {
    if (this.#over.signal.aborted) return;
    const { state, effects } = reduceTop(this.#state, event);
    this.#state = state;
    this.#isDirty = true;
    this.#schedule();
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: TopEffect): void {
    switch (effect.kind) {
      case "quit":
        this.#over.abort();
        break;
      case "read-requests":
        void this.#readRequests();
        break;
      case "read-text":
        void this.#readText(effect.of);
        break;
      case "carry-out":
        void this.#change(effect.change);
        break;
      default:
        assertNever(effect);
    }
  }

  async #readRequests(): Promise<void> {
    // Between two looks they stay as they are: an old list is better than none.
    const requests = await this.#options.sources.requests().catch(() => undefined);
    if (requests !== undefined) this.#dispatch({ kind: "requests-read", requests });
  }

  async #readSync(): Promise<void> {
    const sync = await this.#options.sources.sync().catch(() => null);
    this.#dispatch({ kind: "sync-read", sync });
  }

  async #readText(of: TextAsked): Promise<void> {
    try {
      this.#dispatch({ kind: "text-read", of, text: await this.#options.sources.text(of) });
    } catch (thrown) {
      const { message, next } = toCortexError(thrown);
      this.#dispatch({ kind: "text-refused", of, problem: `${message}; next: ${next}` });
    }
  }

  async #change(change: Change): Promise<void> {
    try {
      const taken = (answer: string): void => this.#dispatch({ kind: "change-taken", change, answer });
      taken(await this.#options.sources.change(change, () => taken("begun")));
    } catch (thrown) {
      this.#dispatch({ kind: "change-refused", change, problem: toCortexError(thrown).message });
    }
  }

  #schedule(): void {
    if (this.#cancelFrame !== undefined) return;
    const { clock } = this.#options;
    const waitMs = Math.max(0, this.#drawnAtMs + FRAME_MS - clock.monotonicMs());
    this.#cancelFrame = clock.alarm(waitMs, () => {
      this.#cancelFrame = undefined;
      if (this.#isDirty) this.#draw();
    });
  }

  #draw(): void {
    const { terminal, look, clock } = this.#options;
    if (this.#over.signal.aborted) return;
    this.#drawnAtMs = clock.monotonicMs();
    this.#isDirty = false;
    const { lines, scroll } = topFrame(this.#state, { ...terminal.size(), ...look });
    this.#state = { ...this.#state, scroll };
    this.#screen.draw(lines);
  }
}
