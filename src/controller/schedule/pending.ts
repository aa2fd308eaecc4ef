import { byId, isSpread, isUnload, type Draft } from "./draft.ts";

/** Changes that are not decided yet, found by neuron and by model; both lists are in order of id. */
export class PendingChanges {
  readonly #byNeuron = new Map<string, Draft[]>();
  readonly #byModel = new Map<string, Draft[]>();
  readonly #unloads = new Map<string, Draft[]>();
  /** How many changes of each neuron load a model on several devices. */
  readonly #spread = new Map<string, number>();
  #size = 0;

  constructor(drafts: readonly Draft[]) {
    for (const draft of drafts.toSorted(byId)) this.#insert(draft);
  }

  get size(): number {
    return this.#size;
  }

  all(): Draft[] {
    return [...this.#byNeuron.values()].flat().sort(byId);
  }

  neurons(): Iterable<string> {
    return this.#byNeuron.keys();
  }

  onNeuron(neuron: string): readonly Draft[] {
    return this.#byNeuron.get(neuron) ?? [];
  }

  unloadsOn(neuron: string): readonly Draft[] {
    return this.#unloads.get(neuron) ?? [];
  }

  hasSpreadOn(neuron: string): boolean {
    return (this.#spread.get(neuron) ?? 0) > 0;
  }

  ofModel(modelId: string): readonly Draft[] {
    return this.#byModel.get(modelId) ?? [];
  }

  add(...drafts: readonly Draft[]): void {
    for (const draft of drafts) {
      this.#insert(draft);
      this.#byNeuron.get(draft.change.neuron)?.sort(byId);
      this.#byModel.get(draft.change.modelId)?.sort(byId);
      this.#unloads.get(draft.change.neuron)?.sort(byId);
    }
  }

  remove(draft: Draft): void {
    this.#size -= 1;
    drop(this.#byNeuron, draft.change.neuron, draft);
    drop(this.#byModel, draft.change.modelId, draft);
    if (isUnload(draft)) drop(this.#unloads, draft.change.neuron, draft);
    this.#countSpread(draft, -1);
  }

  #insert(draft: Draft): void {
    this.#size += 1;
    const { neuron, modelId } = draft.change;
    insert(this.#byNeuron, neuron, draft);
    insert(this.#byModel, modelId, draft);
    if (isUnload(draft)) insert(this.#unloads, neuron, draft);
    this.#countSpread(draft, 1);
  }

  #countSpread(draft: Draft, step: 1 | -1): void {
    if (!isSpread(draft)) return;
    const { neuron } = draft.change;
    this.#spread.set(neuron, (this.#spread.get(neuron) ?? 0) + step);
  }
}

function insert(index: Map<string, Draft[]>, key: string, draft: Draft): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [draft]);
  else list.push(draft);
}

function drop(index: Map<string, Draft[]>, key: string, draft: Draft): void {
  const list = index.get(key) ?? [];
  const position = list.indexOf(draft);
  if (position >= 0) list.splice(position, 1);
  if (list.length === 0) index.delete(key);
}
