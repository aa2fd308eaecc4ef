import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { soak } from "../../test/support/worker/soak.ts";

// Many requests to one worker, a third of which are left at any moment: does its memory stay, are its slots free?

/** What may be kept for good once every kind of request has been seen. */
const MOST_GROWTH = 1.1;

/** V8 lets garbage lie as long as a machine has memory; with this much for it, what grows is what is kept. */
const HEAP_MIB = 80;

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    // V8's own limit, and what is alive in the heap by snapshots: whether growth is garbage.
    "default-heap": { type: "boolean", default: false },
  },
});
const snapshots = values["default-heap"] ? mkdtempSync(join(tmpdir(), "cortex-soak-")) : undefined;
process.env["NODE_OPTIONS"] =
  snapshots === undefined
    ? `--max-old-space-size=${HEAP_MIB} --max-semi-space-size=4`
    : `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${snapshots}`;
const result = await soak({
  requests: Number(values.requests),
  clients: 12,
  seed: Number(values.seed),
  ...(snapshots === undefined ? {} : { snapshots }),
  onProgress: ({ done, residentMib }) => process.stdout.write(`${done} requests: ${residentMib} MiB\n`),
});
const { answered, left, refused, broken, health, progress } = result;
// The first fifth fills caches. After it memory goes up and down with the collector; what is leaked stays, so it is
// the lowest reading of the second half that counts.
const settledMib = progress[1]?.residentMib ?? 0;
const laterMib = Math.min(...progress.slice(5).map(({ residentMib }) => residentMib));
/** With fewer requests the heap is still growing to its usual size. */
const isJudged = Number(values.requests) >= 5000;
const [liveMib, liveAtEndMib] = result.liveMib;
const flat =
  !isJudged ||
  (liveMib === undefined || liveAtEndMib === undefined
    ? laterMib <= settledMib * MOST_GROWTH
    : liveAtEndMib <= liveMib * MOST_GROWTH);
if (liveMib !== undefined)
  process.stdout.write(`alive in the heap: ${liveMib} MiB after a fifth, ${liveAtEndMib} at the end\n`);
process.stdout.write(
  `${answered} answered, ${left} left, ${refused} refused for want of room, ${broken.length} broken\n` +
    `slots free: ${health.slots_free} of ${health.slots}; memory ${settledMib} -> ${laterMib} MiB: ${isJudged ? (flat ? "flat" : "GROWS") : "too few requests to judge"}\n`,
);
for (const line of broken.slice(0, 10)) process.stdout.write(`${line}\n`);
process.exitCode = flat && broken.length === 0 && health.slots_busy === 0 ? 0 : 1;
