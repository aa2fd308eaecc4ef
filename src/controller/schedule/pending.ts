import { byId, type Draft } from "./draft.ts";

/** Changes that are not decided yet, found by neuron and by model; both lists are in order of id. */
export class PendingChanges {
  readonly #byNeuron = new Map<string, Draft[]>();
  readonly #byModel = new Map<string, Draft[]>();
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

  ofModel(modelId: string): readonly Draft[] {
    return this.#byModel.get(modelId) ?? [];
  }

  add(...drafts: readonly Draft[]): void {
    for (const draft of drafts) {
      this.#insert(draft);
      this.#byNeuron.get(draft.change.neuron)?.sort(byId);
      this.#byModel.get(draft.change.modelId)?.sort(byId);
    }
  }

  remove(draft: Draft): void {
    this.#size -= 1;
    drop(this.#byNeuron, draft.change.neuron, draft);
    drop(this.#byModel, draft.change.modelId, draft);
  }

  #insert(draft: Draft): void {
    this.#size += 1;
    const { neuron, modelId } = draft.change;
    this.#byNeuron.set(neuron, [...(this.#byNeuron.get(neuron) ?? []), draft]);
    this.#byModel.set(modelId, [...(this.#byModel.get(modelId) ?? []), draft]);
  }
}

function drop(index: Map<string, Draft[]>, key: string, draft: Draft): void {
  const rest = (index.get(key) ?? []).filter((candidate) => candidate !== draft);
  if (rest.length === 0) index.delete(key);
  else index.set(key, rest);
}
