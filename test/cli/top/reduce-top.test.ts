import { describe, expect, test } from "vitest";
import { selectedKey } from "../../../src/cli/top/listed-rows.ts";
import type { TopState } from "../../../src/cli/top/top-state.ts";
import { copy, fleetState } from "../overview/fleet-states.ts";
import { fleetTold, HEARD, homeFleet, keys, played } from "./shown-fleet.ts";

const after = (text: string) => played([...HEARD, ...keys(text)]);

describe("keys", () => {
  test.each(["q", "<ctrl-c>", "<enter>q", "?q", "/<ctrl-c>", "1d<ctrl-c>"])("%s leaves", (text) => {
    expect(after(text).effects).toContainEqual({ kind: "quit" });
  });

  test("q in a filter is a letter", () => {
    expect(after("/qu")).toMatchObject({ effects: [], state: { filter: "qu" } });
  });

  test("rows stay selected by their name when the order changes", () => {
    const state = after("jj").state;
    const selected = selectedKey(state, "models");
    const sorted = played(keys("s"), state).state;
    expect(selectedKey(sorted, "models")).toBe(selected);
    expect(played(keys("S"), sorted).state.lists.models.isReversed).toBe(true);
  });

  test("a row that is gone leaves the selection at the first", () => {
    const state = after("G").state;
    const gone = played([fleetTold(fleetState({ declared: { only: 0 }, neurons: [] }))], state).state;
    expect(selectedKey(gone, "models")).toBe("only");
  });

  test("tab goes round the panes, and the numbers go there at once", () => {
    expect(after("<tab>").state.focus).toBe("requests");
    expect(after("<tab><tab><tab>").state.focus).toBe("neurons");
    expect(after("<backtab>").state.focus).toBe("neurons");
    expect(after("4").state.focus).toBe("events");
  });

  test.each([
    ["1<enter>", { kind: "neuron", name: "beast" }],
    ["<enter>", { kind: "model", id: "openai/whisper-large" }],
    ["3<enter>", { kind: "text", of: { kind: "request", id: "req-1" } }],
    ["p", { kind: "text", of: { kind: "plan" } }],
    ["?", { kind: "help" }],
  ])("%s opens a page, and esc closes it", (text, page) => {
    const { state } = after(text);
    expect(state.pages).toMatchObject([page]);
    expect(played(keys("<esc>"), state).state.pages).toEqual([]);
  });

  test("a text that was asked for comes to its page, or why it does not", () => {
    const { state, effects } = after("p");
    expect(effects).toEqual([{ kind: "read-text", of: { kind: "plan" } }]);
    const read = played([{ kind: "text-read", of: { kind: "plan" }, text: "No changes." }], state).state;
    expect(read.pages).toMatchObject([{ text: "No changes." }]);
    const refused = played(
      [{ kind: "text-refused", of: { kind: "plan" }, problem: "no fleet" }],
      state,
    ).state;
    expect(refused.pages).toMatchObject([{ text: null, problem: "no fleet" }]);
    const other = played([{ kind: "text-read", of: { kind: "why", model: "m" }, text: "x" }], state).state;
    expect(other.pages).toMatchObject([{ text: null }]);
  });
});

describe("changes by hand", () => {
  test("nothing is changed before a y", () => {
    const { state, effects } = after("1d");
    expect(effects).toEqual([]);
    expect(state.prompt).toEqual({
      kind: "confirm",
      changes: [{ kind: "drain", neuron: "beast" }],
      chosen: 0,
    });
    expect(played(keys("y"), state).effects).toEqual([
      { kind: "carry-out", change: { kind: "drain", neuron: "beast" } },
    ]);
  });

  test.each(["n", "<esc>", "<enter>", "Y", " "])("%s is no yes", (key) => {
    expect(after(`1d${key}`)).toMatchObject({ effects: [], state: { prompt: null } });
  });

  test("a neuron that drains is let work again", () => {
    expect(after("1jd").state.prompt).toMatchObject({ changes: [{ kind: "resume", neuron: "benjy" }] });
  });

  test("a neuron that does not answer is not asked", () => {
    expect(after("1Gd").state).toMatchObject({ prompt: null, notice: { text: "quadbrat does not answer" } });
  });

  test("of several copies one is chosen", () => {
    const { state } = after("1u");
    expect(state.prompt).toMatchObject({
      changes: [{ model: "meta/llama-3.3-70b" }, { model: "google/gemma-3-4b" }],
    });
    expect(played(keys("<right>y"), state).effects).toEqual([
      { kind: "carry-out", change: { kind: "unload", model: "google/gemma-3-4b", neuron: "beast" } },
    ]);
  });

  test("a model is loaded where it is not, on neurons that take work, most room first", () => {
    const roomy = fleetState({
      declared: { m: 0 },
      neurons: [
        { name: "full", devices: [{ totalMb: 8000, usedMb: 7900 }] },
        { name: "empty", devices: [{ totalMb: 8000, usedMb: 0 }] },
        { name: "holds", models: [copy({ id: "m" })] },
        { name: "drains", draining: true },
      ],
    });
    const { state } = played([fleetTold(roomy), ...keys("l")]);
    expect(state.prompt).toMatchObject({ changes: [{ neuron: "empty" }, { neuron: "full" }] });
  });

  test("what a neuron said stands below, and among the events as drift", () => {
    const change = { kind: "drain", neuron: "beast" } as const;
    const done = played([...HEARD, { kind: "change-taken", change, answer: "it takes no new work" }]).state;
    expect(done.notice).toMatchObject({ text: "drain beast: it takes no new work", tone: "good" });
    expect(done.news[0]).toMatchObject({
      about: "by hand",
      text: "drain beast: it takes no new work (drift)",
    });
    const refused = played([...HEARD, { kind: "change-refused", change, problem: "bad token" }]).state;
    expect(refused.notice).toMatchObject({ text: "could not drain beast: bad token", tone: "bad" });
  });
});

const texts = (state: TopState): string[] => state.news.map(({ about, text }) => `${about}: ${text}`);

describe("the stream of events", () => {
  test("a break is said once and leaves what was told in view; so is that it is over", () => {
    const broken = { kind: "stream-broken", problem: "connection refused", retryInMs: 1000 } as const;
    const away = played([...HEARD, broken, broken]).state;
    expect(away.connection).toMatchObject({ kind: "broken", problem: "connection refused" });
    expect(away.fleet?.neurons).toHaveLength(3);
    expect(texts(away)).toEqual(["gateway: its events broke off: connection refused"]);
    const back = played([fleetTold(homeFleet())], away).state;
    expect(back.connection).toEqual({ kind: "live" });
    expect(texts(back)[0]).toBe("gateway: its events flow again");
  });

  test("what happens to neurons and copies is told, each thing once", () => {
    const before = fleetState({ declared: { m: 1 }, neurons: [{ name: "a" }, { name: "b" }] });
    const [a, b] = before.neurons;
    const loading = copy({ id: "m", status: "loading", origin: { kind: "manual" } });
    const stuck = copy({ id: "m", servable: { ok: false, reason: "vram", detail: "out of memory" } });
    const told = (neuron: (typeof before.neurons)[number] | undefined, rest: object) => ({
      kind: "fleet-told" as const,
      event: {
        kind: "neuron-changed" as const,
        neuron: { ...neuron, ...rest } as NonNullable<typeof neuron>,
      },
    });
    const { state } = played([
      fleetTold(before),
      told(a, { models: [loading] }),
      told(a, { models: [copy({ id: "m" })] }),
      told(a, { models: [stuck] }),
      told(a, { models: [] }),
      told(b, { draining: true }),
      told(b, { draining: true, health: "unhealthy", problem: "no answer within 5 s" }),
      told(b, { draining: true, uptime_secs: 1 }),
      { kind: "fleet-told", event: { kind: "neuron-removed", name: "b" } },
    ]);
    expect(texts(state).toReversed()).toEqual([
      "m: loads on a, by hand",
      "m: loaded on a",
      "m: cannot serve on a: out of memory",
      "m: left a",
      "b: drains: takes no new work",
      "b: does not answer: no answer within 5 s",
      "b: answers",
      "b: restarted",
      "b: declared no more",
    ]);
  });

  test("loads that are asked for and loads that fail are told", () => {
    const before = homeFleet({ loads: [], failed_loads: [] });
    const { loads, queues, failed_loads } = homeFleet();
    const event = { kind: "loads-changed", loads, queues, failed_loads } as const;
    const { state } = played([
      fleetTold(before),
      { kind: "fleet-told", event },
      { kind: "fleet-told", event },
    ]);
    expect(texts(state).toReversed()).toEqual([
      "mistralai/Mistral-Small-3.2-24B: asked for on beast, in the place of google/gemma-3-4b, 2 waiting",
      "openai/whisper-large: could not be loaded on benjy: source_not_found: no such file",
    ]);
  });

  test("samples are taken each second while events flow", () => {
    expect(played(HEARD).state.samples.requestsPerSec).toEqual([0.5, 0.5, 0.5, 2.5, 2.5, 4.2, 4.2]);
  });
});
