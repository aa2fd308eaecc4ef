import { compareText } from "../../core/order.ts";
import { declaredFleet, type ServedFleet } from "../../protocol/declaration/declared-fleet.ts";
import type { GatewayTable } from "../../fleet/schema/gateway-table.ts";
import type { Fleet, ModelBlock, NeuronBlock } from "../../fleet/schema/fleet-schema.ts";

/** The fleet files arranged for look-up on every request; made once per set of files. */
export interface FleetIndex {
  readonly fleetName: string;
  /** What tells its repository from others; undefined outside of git. */
  readonly repository: readonly string[] | undefined;
  readonly gateway: GatewayTable;
  /** In order of name, so that every walk over them is deterministic. */
  readonly neurons: readonly NeuronBlock[];
  readonly neuronsByName: ReadonlyMap<string, NeuronBlock>;
  readonly modelsById: ReadonlyMap<string, ModelBlock>;
  /** Alias to concrete id: one step, no chains. */
  readonly aliases: ReadonlyMap<string, string>;
  /** What is told of the files to anybody who asks. */
  readonly served: ServedFleet;
}

/** `overridden`: settings that the environment of this machine decides. */
export function indexFleet(
  fleet: Fleet,
  overridden: readonly string[] = [],
  repository?: readonly string[],
): FleetIndex {
  const neurons = fleet.neurons.toSorted((left, right) => compareText(left.name, right.name));
  return {
    fleetName: fleet.fleet.name,
    repository,
    gateway: fleet.gateway,
    neurons,
    neuronsByName: new Map(neurons.map((neuron) => [neuron.name, neuron])),
    modelsById: new Map(fleet.models.map((model) => [model.id, model])),
    aliases: new Map(Object.entries(fleet.aliases)),
    served: { ...declaredFleet(fleet), overridden: [...overridden] },
  };
}

/** The files that are in force now: whoever holds it sees the next ones without being told. */
export class LiveFleet implements FleetIndex {
  #current: FleetIndex;

  constructor(first: FleetIndex) {
    this.#current = first;
  }

  replace(next: FleetIndex): void {
    this.#current = next;
  }

  get fleetName(): string {
    return this.#current.fleetName;
  }

  get repository(): readonly string[] | undefined {
    return this.#current.repository;
  }

  get gateway(): GatewayTable {
    return this.#current.gateway;
  }

  get neurons(): readonly NeuronBlock[] {
    return this.#current.neurons;
  }

  get neuronsByName(): ReadonlyMap<string, NeuronBlock> {
    return this.#current.neuronsByName;
  }

  get modelsById(): ReadonlyMap<string, ModelBlock> {
    return this.#current.modelsById;
  }

  get aliases(): ReadonlyMap<string, string> {
    return this.#current.aliases;
  }

  get served(): ServedFleet {
    return this.#current.served;
  }
}

/** The id that answers for `name`; a name that is no alias stands for itself. A catalogue id wins over an alias. */
export function resolveAlias(fleet: FleetIndex, name: string): string {
  return fleet.modelsById.has(name) ? name : (fleet.aliases.get(name) ?? name);
}
