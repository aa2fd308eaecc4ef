import type { DeclaredModel, PlanChange, PlanDocument, PlanNeuron } from "../../protocol/plan-document.ts";

type PlannedCopy = PlanNeuron["models"][number];

/**
 * A plan and its parts by name, so that a check costs the same in a fleet of ten thousand models as in one of ten. Of
 * several parts with one name the first counts; that there are several is for the checks of structure to say.
 */
export class PlanIndex {
  readonly plan: PlanDocument;
  readonly #declared: ReadonlyMap<string, DeclaredModel>;
  readonly #neurons: ReadonlyMap<string, PlanNeuron>;
  readonly #rowsOfModel: ReadonlyMap<string, readonly PlanChange[]>;
  readonly #rowsOnNeuron: ReadonlyMap<string, readonly PlanChange[]>;
  readonly #copies: ReadonlyMap<string, readonly { readonly neuron: string; readonly copy: PlannedCopy }[]>;
  readonly #leftAlone: ReadonlySet<string>;

  constructor(plan: PlanDocument) {
    this.plan = plan;
    this.#declared = firstBy(plan.declared, ({ model_id }) => model_id);
    this.#neurons = firstBy(plan.neurons, ({ name }) => name);
    this.#rowsOfModel = Map.groupBy(plan.changes, ({ model_id }) => model_id);
    this.#rowsOnNeuron = Map.groupBy(plan.changes, ({ neuron }) => neuron);
    const copies = plan.neurons.flatMap(({ name, models }) => models.map((copy) => ({ neuron: name, copy })));
    this.#copies = Map.groupBy(copies, ({ copy }) => copy.model_id);
    this.#leftAlone = new Set(plan.left_alone.map(({ model_id, neuron }) => `${model_id}@${neuron}`));
  }

  declared(modelId: string): DeclaredModel | undefined {
    return this.#declared.get(modelId);
  }

  neuron(name: string): PlanNeuron | undefined {
    return this.#neurons.get(name);
  }

  /** In the order of the plan. */
  rowsOf(modelId: string): readonly PlanChange[] {
    return this.#rowsOfModel.get(modelId) ?? [];
  }

  rowsOn(neuron: string): readonly PlanChange[] {
    return this.#rowsOnNeuron.get(neuron) ?? [];
  }

  /** What was loaded of a model when the plan was made, and where. */
  copiesOf(modelId: string): readonly { readonly neuron: string; readonly copy: PlannedCopy }[] {
    return this.#copies.get(modelId) ?? [];
  }

  copyOn(neuron: string, modelId: string): PlannedCopy | undefined {
    return this.copiesOf(modelId).find((held) => held.neuron === neuron)?.copy;
  }

  isLeftAlone(modelId: string, neuron: string): boolean {
    return this.#leftAlone.has(`${modelId}@${neuron}`);
  }
}

function firstBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): ReadonlyMap<string, Item> {
  const found = new Map<string, Item>();
  for (const item of items) if (!found.has(nameOf(item))) found.set(nameOf(item), item);
  return found;
}
