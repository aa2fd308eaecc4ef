import { HOUR_MS, type CountedRequest, type UsageRow } from "./usage-ledger.ts";

type Mutable<Row> = { -readonly [Field in keyof Row]: Row[Field] };

export interface SpentSlice {
  readonly keyId: string;
  /** Beginning of the slice. */
  readonly sliceMs: number;
  readonly widthMs: number;
  readonly tokens: number;
}

/** What one key used of one model, or spent, within the hour or slice that is being counted. */
interface Counted {
  readonly byModel: Map<string, Mutable<UsageRow>>;
  spent: Mutable<SpentSlice> | null;
}

/**
 * Usage that was counted and is not written yet, added up as it will be kept. Rows are added to in place, and found
 * without a name made of their parts: this runs for each request.
 */
export class PendingUsage {
  readonly #sliceMsOf: (keyId: string) => number;
  readonly #usage: Mutable<UsageRow>[] = [];
  readonly #spent: Mutable<SpentSlice>[] = [];
  /** The rows of the hour that was counted last, by key: those of another hour are whole. */
  readonly #byKey = new Map<string, Counted>();
  #hourMs = Number.NaN;

  /** How long the slices of a key are. */
  constructor(sliceMsOf: (keyId: string) => number) {
    this.#sliceMsOf = sliceMsOf;
  }

  get isEmpty(): boolean {
    return this.#usage.length === 0;
  }

  get usage(): readonly UsageRow[] {
    return this.#usage;
  }

  get spent(): readonly SpentSlice[] {
    return this.#spent;
  }

  add({ keyId, modelId, nowMs, outcome, usage }: CountedRequest): void {
    const hourMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
    if (hourMs !== this.#hourMs) {
      this.#byKey.clear();
      this.#hourMs = hourMs;
    }
    const counted = this.#countedOf(keyId);
    const row = this.#rowOf(counted, { keyId, modelId, hourMs });
    row.requests += 1;
    if (outcome === "cut") row.cut += 1;
    if (outcome === "failed") row.failed += 1;
    row.promptTokens += usage.promptTokens;
    row.completionTokens += usage.completionTokens;
    row.cachedTokens += usage.cachedTokens;
    row.reasoningTokens += usage.reasoningTokens;
    const tokens = usage.promptTokens + usage.completionTokens;
    if (tokens > 0) this.#sliceOf(counted, { keyId, nowMs }).tokens += tokens;
  }

  #countedOf(keyId: string): Counted {
    const known = this.#byKey.get(keyId);
    if (known !== undefined) return known;
    const counted: Counted = { byModel: new Map(), spent: null };
    this.#byKey.set(keyId, counted);
    return counted;
  }

  #rowOf({ byModel }: Counted, of: Pick<UsageRow, "keyId" | "modelId" | "hourMs">): Mutable<UsageRow> {
    const known = byModel.get(of.modelId);
    if (known !== undefined) return known;
    const row = { ...of, ...NOTHING_YET };
    byModel.set(of.modelId, row);
    this.#usage.push(row);
    return row;
  }

  #sliceOf(counted: Counted, { keyId, nowMs }: Pick<CountedRequest, "keyId" | "nowMs">): Mutable<SpentSlice> {
    const widthMs = this.#sliceMsOf(keyId);
    const sliceMs = Math.floor(nowMs / widthMs) * widthMs;
    if (counted.spent?.sliceMs === sliceMs && counted.spent.widthMs === widthMs) return counted.spent;
    const slice = { keyId, sliceMs, widthMs, tokens: 0 };
    counted.spent = slice;
    this.#spent.push(slice);
    return slice;
  }
}

const NOTHING_YET = {
  requests: 0,
  cut: 0,
  failed: 0,
  promptTokens: 0,
  completionTokens: 0,
  cachedTokens: 0,
  reasoningTokens: 0,
};
