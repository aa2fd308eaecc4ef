import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { TallyCounter, TallyGauge, TallyHistogram } from "../../src/platform/tallies.ts";

const BOUNDS = [0.1, 1, 10];
const counted = { name: "requests_total", help: "Requests", labelNames: ["model", "status"] as const };
const open = { name: "open", help: "Open ones", labelNames: ["model"] as const };
const lasted = { name: "seconds", help: "How long", labelNames: ["model", "node"] as const };

/** The same metrics as prom-client keeps them. */
function itsOwn(registry: Registry) {
  const registers = [registry];
  return {
    counter: new Counter({ ...counted, registers }),
    gauge: new Gauge({ ...open, registers }),
    histogram: new Histogram({ ...lasted, buckets: BOUNDS, registers }),
  };
}

const ours = (registry: Registry) => ({
  counter: new TallyCounter({ ...counted, registry }),
  gauge: new TallyGauge({ ...open, registry }),
  histogram: new TallyHistogram({ ...lasted, registry }, BOUNDS),
});

function fill({ counter, gauge, histogram }: ReturnType<typeof ours> | ReturnType<typeof itsOwn>): void {
  counter.inc({ model: "a", status: "200" });
  counter.inc({ model: "a", status: "200" }, 41);
  counter.inc({ model: 'q"uote\\', status: "499" });
  gauge.inc({ model: "a" });
  gauge.inc({ model: "a" });
  gauge.inc({ model: "b" });
  gauge.dec({ model: "a" });
  gauge.dec({ model: "b" });
  for (const seconds of [0.05, 0.1, 0.2, 1.5, 100]) histogram.observe({ model: "a", node: "n" }, seconds);
  histogram.observe({ model: "b", node: "" }, 3);
}

test("tallies are exposed word for word as prom-client's own metrics", async () => {
  const [theirs, mine] = [new Registry(), new Registry()];
  fill(itsOwn(theirs));
  fill(ours(mine));
  expect(await mine.metrics()).toBe(await theirs.metrics());
});

async function twice(registry: Registry): Promise<string> {
  const told = await registry.getMetricsAsJSON();
  return AggregatorRegistry.aggregate([told, told]).metrics();
}

test("and are added up with those of another process as its own are", async () => {
  const [theirs, mine] = [new Registry(), new Registry()];
  fill(itsOwn(theirs));
  fill(ours(mine));
  expect(await twice(mine)).toBe(await twice(theirs));
});
