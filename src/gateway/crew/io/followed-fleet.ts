import { afterChange, NO_FACTS, type Facts, type FactsChange } from "../facts.ts";
import type { FleetView } from "../../view/fleet-view.ts";
import type { NeuronPoller } from "../../view/io/neuron-poller.ts";
import { LocalPlaces } from "../local-places.ts";
import type { OwnerLink } from "./owner-link.ts";

/** The fleet as the owner sees it: a worker asks no neuron how it is. */
export class FollowedFleet implements Pick<NeuronPoller, "view" | "refresh"> {
  readonly places = new LocalPlaces();
  readonly #link: () => OwnerLink;
  #facts: Facts = NO_FACTS;

  constructor(link: () => OwnerLink) {
    this.#link = link;
  }

  get facts(): Facts {
    return this.#facts;
  }

  view(): FleetView {
    return this.#facts.view;
  }

  /** By the owner, whose view of it has come when this resolves. */
  async refresh(neuron: string): Promise<boolean> {
    return this.#link()
      .ask({ kind: "refresh", neuron })
      .catch(() => false);
  }

  /** `read`: the last batch of this worker that is counted in the change. */
  learn(change: FactsChange, read: number): void {
    this.#facts = afterChange(this.#facts, change);
    this.places.heard(read, change.inFlight);
  }
}
