import { renderToString } from "ink";
import { describe, expect, test } from "vitest";
import { beginBoard, noteOnBoard, secsLeft, type ApplyBoard } from "../../../src/cli/screen/apply-board.ts";
import { boardRows } from "../../../src/cli/screen/apply-screen-rows.ts";
import { screenElement } from "../../../src/cli/screen/apply-screen.ts";
import type { ApplyEvent } from "../../../src/protocol/apply-events.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
} from "../../controller/observed-fleet-builders.ts";

const NEURONS = ["beast", "benjy", "quadbrat"];

const made = plan(
  fleetFromToml(
    ["Qwen/Qwen3-8B-GGUF:Q4_K_M", "mistralai/Mistral-Small-3.2-24B", "m3"]
      .map(
        (id, at) =>
          `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = ${4000 + at}\npinned_on = ["${NEURONS[at] ?? ""}"]\n`,
      )
      .join(""),
    NEURONS,
  ),
  observedFleet(
    observedNeuron("beast", { devices: [32_000, 32_000] }),
    observedNeuron("benjy", { devices: [24_000] }),
    observedNeuron("quadbrat", { devices: [12_000] }),
  ),
);

const neuronOf = new Map(made.changes.map(({ id, neuron }) => [id, neuron]));
const stepOn = (name: string): string => made.changes.find(({ neuron }) => neuron === name)?.id ?? "";

const started = (name: string): ApplyEvent[] =>
  made.changes
    .filter(({ neuron }) => neuron === name)
    .map((change) => ({ type: "step-started", step: change.id, change }));

const EVENTS: readonly ApplyEvent[] = [
  ...started("beast"),
  ...started("benjy"),
  ...started("quadbrat"),
  {
    type: "step-progress",
    step: stepOn("beast"),
    state: "downloading",
    fraction: 0.5,
    download: { bytes_done: 3_221_225_472, bytes_total: 5_027_783_488, eta_secs: 42 },
  },
  { type: "step-progress", step: stepOn("benjy"), state: "loading", fraction: 0.27, eta_secs: 8 },
  {
    type: "step-progress",
    step: stepOn("quadbrat"),
    state: "busy",
    fraction: null,
    reason: "quadbrat has no memory for m3 now",
  },
  {
    type: "devices-read",
    neuron: "benjy",
    devices: [{ index: 0, vram_used_mb: 9000, vram_total_mb: 24_000 }],
  },
];

const boardAfter = (events: readonly ApplyEvent[]): ApplyBoard =>
  events.reduce<ApplyBoard>(
    (board, event) => noteOnBoard(board, event, { nowMs: 1000, neuronOf }),
    beginBoard(made, 0),
  );

const drawn = (columns: number, unicode: boolean, notice?: string): string => {
  const rows = boardRows(boardAfter(EVENTS), notice, { columns, rows: 24, unicode, nowMs: 3500 });
  return renderToString(screenElement(["  done load m0@beast (3 s)"], rows, false), { columns });
};

describe("the screen of an apply", () => {
  test("at 80 columns", () => {
    expect(`\n${drawn(80, true, "Finishing what runs; nothing new is started. Ctrl-C again ends now.")}`)
      .toMatchInlineSnapshot(`
        "
          done load m0@beast (3 s)
          beast     ██████▍░░░  64 %  1/1  load Qwen/Qwen3-8B-GGUF:Q4_K_M
                    downloading 3.0 GiB of 4.7 GiB, 42 s left
                    device 0 ░░░░░░░░ 0 B of 31.3 GiB   and 1 more
          benjy     ██▋░░░░░░░  27 %  1/1  load mistralai/Mistral-Small-3.2-24B
                    loading, 8 s left
                    device 0 ███░░░░░ 8.8 GiB of 23.4 GiB
          quadbrat  ░░░░░░░░░░        1/1  load m3
                    busy, asking again, 9 s left
                    device 0 ░░░░░░░░ 0 B of 11.7 GiB
          0 of 3 applied, 4 s, about 8 s left
          Finishing what runs; nothing new is started. Ctrl-C again ends now."
      `);
  });

  test("at 200 columns", () => {
    expect(`\n${drawn(200, true)}`).toMatchInlineSnapshot(`
      "
        done load m0@beast (3 s)
        beast     ███████████████▍░░░░░░░░  64 %  1/1  load Qwen/Qwen3-8B-GGUF:Q4_K_M  downloading 3.0 GiB of 4.7 GiB, 42 s left
                  device 0 ░░░░░░░░░░░░░░░░ 0 B of 31.3 GiB   device 1 ░░░░░░░░░░░░░░░░ 0 B of 31.3 GiB
        benjy     ██████▍░░░░░░░░░░░░░░░░░  27 %  1/1  load mistralai/Mistral-Small-3.2-24B  loading, 8 s left
                  device 0 ██████░░░░░░░░░░ 8.8 GiB of 23.4 GiB
        quadbrat  ░░░░░░░░░░░░░░░░░░░░░░░░        1/1  load m3  busy (quadbrat has no memory for m3 now), asking again, 9 s left
                  device 0 ░░░░░░░░░░░░░░░░ 0 B of 11.7 GiB
        0 of 3 applied, 4 s, about 8 s left"
    `);
  });

  test("without Unicode there is nothing but ASCII", () => {
    const text = drawn(80, false);
    expect(`\n${text}`).toMatchInlineSnapshot(`
      "
        done load m0@beast (3 s)
        beast     ######----  64 %  1/1  load Qwen/Qwen3-8B-GGUF:Q4_K_M
                  downloading 3.0 GiB of 4.7 GiB, 42 s left
                  device 0 -------- 0 B of 31.3 GiB   and 1 more
        benjy     ##--------  27 %  1/1  load mistralai/Mistral-Small-3.2-24B
                  loading, 8 s left
                  device 0 ###----- 8.8 GiB of 23.4 GiB
        quadbrat  ----------        1/1  load m3
                  busy, asking again, 9 s left
                  device 0 -------- 0 B of 11.7 GiB
        0 of 3 applied, 4 s, about 8 s left"
    `);
    // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
    expect(text).toMatch(/^[\x00-\x7F]*$/);
  });

  test.each([40, 60, 80, 120, 200])("no row is wider than %i columns", (columns) => {
    const rows = boardRows(boardAfter(EVENTS), undefined, { columns, rows: 24, unicode: true, nowMs: 1 });
    expect(Math.max(...rows.map(({ text }) => text.length))).toBeLessThan(columns);
  });

  test("lanes beyond the height of the terminal are counted", () => {
    const rows = boardRows(boardAfter(EVENTS), undefined, { columns: 80, rows: 8, unicode: true, nowMs: 1 });
    expect(rows.map(({ text }) => text.trim())).toContain("and 2 more at work");
    expect(rows.length).toBeLessThanOrEqual(8);
  });

  test("what is over is counted, and its lane is gone", () => {
    const actual = { download_bytes: 0, vram_mb: null, was_done: false };
    const error = { code: "load_failed", message: "broken", next: "mend it" } as const;
    const board = boardAfter([
      ...EVENTS,
      { type: "step-done", step: stepOn("beast"), duration_ms: 1, predicted_secs: 1, actual },
      { type: "step-failed", step: stepOn("benjy"), error, duration_ms: 1 },
      { type: "step-skipped", step: stepOn("quadbrat"), reason: "stopped" },
    ]);
    const rows = boardRows(board, undefined, { columns: 80, rows: 24, unicode: true, nowMs: 60_000 });
    expect(rows.map(({ text }) => text)).toEqual(["  1 of 3 applied, 1 failed, 1 skipped, 1 m 0 s"]);
  });

  test("colours are only where they are wanted", () => {
    const rows = boardRows(boardAfter(EVENTS), "stop", { columns: 80, rows: 24, unicode: true, nowMs: 1 });
    expect(renderToString(screenElement([], rows, false))).not.toContain("\u001B");
  });
});

describe("what a step still takes", () => {
  const running = {
    step: "s",
    title: "load m",
    startedMs: 0,
    predictedSecs: 10,
    progress: undefined,
    stateSinceMs: 0,
  };

  test("the plan's word, until it is later than that", () => {
    expect([secsLeft(running, 4000), secsLeft(running, 11_000)]).toEqual([6, null]);
  });

  test("as quickly as it went so far, before the plan's word", () => {
    const progress = { type: "step-progress", step: "s", state: "loading", fraction: 0.25 } as const;
    expect(secsLeft({ ...running, progress, stateSinceMs: 2000 }, 4000)).toBe(6);
  });

  test("the neuron's word comes first", () => {
    const progress = {
      type: "step-progress",
      step: "s",
      state: "loading",
      fraction: 0.5,
      eta_secs: 3,
    } as const;
    expect(secsLeft({ ...running, progress }, 4000)).toBe(3);
  });
});

test("what is given up at a Ctrl-C leaves the lane of its neuron, which finishes what runs, and no time is foretold for it", () => {
  const [first] = started("beast");
  const board = boardAfter(first === undefined ? [] : [first]);
  const of = new Map([...neuronOf, ["another step of beast", "beast"]]);
  const skipped = noteOnBoard(
    board,
    { type: "step-skipped", step: "another step of beast", reason: "the apply was stopped" },
    { nowMs: 1000, neuronOf: of },
  );
  const lane = skipped.lanes.find(({ neuron }) => neuron === "beast");
  expect([lane?.running?.step, lane?.skipped]).toEqual([stepOn("beast"), 1]);
  const rows = boardRows(skipped, undefined, { columns: 80, rows: 24, unicode: true, nowMs: 3500 });
  expect(rows.at(-1)?.text).toBe("  0 of 3 applied, 1 skipped, 4 s");
});
