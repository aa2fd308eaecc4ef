import type { Metric, Registry } from "prom-client";

/*
 * Counters, gauges and histograms for what happens with every request. prom-client makes a text of the labels each time
 * that one is touched, and sorts them for it; these look their series up label by label, and are its metrics when somebody
 * asks for all of them. Label values are bounded by whoever counts.
 */

/** Beside the name of its metric: what a series is told by. */
type Labels<Label extends string> = Readonly<Record<Label, string>>;

export interface TallyOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly [Label, ...Label[]];
  readonly registry: Registry;
}

interface SeriesValue {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** The series of one metric: a level of maps for each label, in the order of the names. */
class SeriesTree<Label extends string, Cell> {
  readonly #labelNames: readonly Label[];
  readonly #newCell: (labels: Labels<Label>) => Cell;
  readonly #root = new Map<string, unknown>();
  readonly cells: Cell[] = [];

  constructor(labelNames: readonly Label[], newCell: (labels: Labels<Label>) => Cell) {
    this.#labelNames = labelNames;
    this.#newCell = newCell;
  }

  at(labels: Labels<Label>): Cell {
    const names = this.#labelNames;
    let level = this.#root;
    const last = names.length - 1;
    for (let depth = 0; depth < last; depth += 1) {
      const value = labels[names[depth] as Label];
      let next = level.get(value) as Map<string, unknown> | undefined;
      if (next === undefined) level.set(value, (next = new Map()));
      level = next;
    }
    const value = labels[names[last] as Label];
    const known = level.get(value) as Cell | undefined;
    if (known !== undefined) return known;
    const cell = this.#newCell({ ...labels });
    level.set(value, cell);
    this.cells.push(cell);
    return cell;
  }
}

/** As prom-client's registry asks for it. */
interface Exposed {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labelNames: readonly string[];
  get(): Promise<unknown>;
}

const expose = (
  registry: Registry,
  { name, help, type, labelNames }: Omit<Exposed, "get">,
  values: () => readonly SeriesValue[],
): void => {
  const get = () => Promise.resolve({ name, help, type, values: values(), aggregator: "sum" });
  const exposed: Exposed = { name, help, type, labelNames, get };
  // What the registry uses of a metric is its name and `get`; its type has all that users of the classes see.
  registry.registerMetric(exposed as unknown as Metric);
};

interface Sum<Label extends string> {
  readonly labels: Labels<Label>;
  value: number;
}

class SummedSeries<Label extends string> {
  readonly #series: SeriesTree<Label, Sum<Label>>;

  constructor({ name, help, labelNames, registry }: TallyOptions<Label>, type: "counter" | "gauge") {
    this.#series = new SeriesTree(labelNames, (labels) => ({ labels, value: 0 }));
    expose(registry, { name, help, type, labelNames }, () =>
      this.#series.cells.map(({ labels, value }) => ({ labels, value })),
    );
  }

  protected add(labels: Labels<Label>, by: number): void {
    this.#series.at(labels).value += by;
  }
}

/** Only grows. */
export class TallyCounter<Label extends string> extends SummedSeries<Label> {
  constructor(options: TallyOptions<Label>) {
    super(options, "counter");
  }

  inc(labels: Labels<Label>, by = 1): void {
    this.add(labels, by);
  }
}

/** What is there now. */
export class TallyGauge<Label extends string> extends SummedSeries<Label> {
  constructor(options: TallyOptions<Label>) {
    super(options, "gauge");
  }

  inc(labels: Labels<Label>): void {
    this.add(labels, 1);
  }

  dec(labels: Labels<Label>): void {
    this.add(labels, -1);
  }
}

interface Spread<Label extends string> {
  readonly labels: Labels<Label>;
  /** Of each bucket alone; the last is for what is above all bounds. */
  readonly counts: number[];
  sum: number;
}

export class TallyHistogram<Label extends string> {
  readonly #bounds: readonly number[];
  readonly #series: SeriesTree<Label, Spread<Label>>;

  /** `bounds`: upper ends of the buckets, ascending. */
  constructor(options: TallyOptions<Label>, bounds: readonly number[]) {
    const { name, help, labelNames, registry } = options;
    this.#bounds = bounds;
    this.#series = new SeriesTree(labelNames, (labels) => ({
      labels,
      counts: Array.from({ length: bounds.length + 1 }, () => 0),
      sum: 0,
    }));
    expose(registry, { name, help, type: "histogram", labelNames }, () =>
      this.#series.cells.flatMap((spread) => spreadValues(name, bounds, spread)),
    );
  }

  observe(labels: Labels<Label>, value: number): void {
    const spread = this.#series.at(labels);
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
    spread.counts[bucket] = (spread.counts[bucket] as number) + 1;
    spread.sum += value;
  }
}

function spreadValues(
  name: string,
  bounds: readonly number[],
  { labels, counts, sum }: Spread<string>,
): readonly SeriesValue[] {
  let below = 0;
  const values: SeriesValue[] = counts.map((count, bucket) => {
    below += count;
    return {
      metricName: `${name}_bucket`,
      labels: { le: bounds[bucket] ?? "+Inf", ...labels },
      value: below,
    };
  });
  values.push({ metricName: `${name}_sum`, labels, value: sum });
  values.push({ metricName: `${name}_count`, labels, value: below });
  return values;
}
