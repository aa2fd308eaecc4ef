import { compareText } from "../../core/order.ts";
import { present } from "../../core/present.ts";
import { newcomersOn, type Board } from "./board/board.ts";
import { searchPlacement, type SearchResult } from "./best-placement.ts";
import { Reasons } from "./explain/reasons.ts";
import type {
  Arrival,
  Assignment,
  Departure,
  Placement,
  PlacementInput,
  UnknownCopies,
  UnplacedExplanation,
} from "./board/placement.ts";
import { explainUnplaced, type UnplacedQuestion } from "./explain/unplaced.ts";
import { silentNeurons } from "./board/silent-neurons.ts";
import { placementProblem } from "./board/build-problem.ts";
import { at, itemAt, type ApplicantNo, type DeviceNo } from "./board/numbers.ts";
import { shareAt, type Home, type Place, type PlacementProblem, type ProblemModel } from "./board/problem.ts";

/*
 * Where declared copies go. Strictly in this order: hard constraints; what higher classes ask for; as few moves of
 * loaded copies as possible; room for models on demand; the place with the most free memory. The same input always
 * gives the same placement, in whatever order it arrives.
 *
 * A copy that fits nowhere may displace on-demand models of its own class or lower and resident copies of a lower
 * class; loaded copies of its own class or lower may have to move for it, and then the answer says for what.
 */
export function placeModels(input: PlacementInput): Placement {
  const problem = placementProblem(input);
  const { explain = true, suggestion, proof } = input.options ?? {};
  const found = searchPlacement(problem, { prove: explain, suggestion, proof });
  return new Answer(problem, found).placement();
}

/** What a plan of a large fleet spends on saying why: neurons looked at, and conflicts searched for. */
const LOOKS_TO_EXPLAIN = 10_000;
const CONFLICTS_TO_EXPLAIN = 3;

class Answer {
  readonly #problem: PlacementProblem;
  readonly #board: Board;
  readonly #found: SearchResult;
  readonly #unknown: Map<string, UnknownCopies>;

  constructor(problem: PlacementProblem, found: SearchResult) {
    this.#problem = problem;
    this.#board = found.board;
    this.#found = found;
    this.#unknown = new Map(problem.claimed.map((row) => [row.modelId, row]));
  }

  placement(): Placement {
    const assignments = this.#assignments();
    const arrivals = this.#arrivals();
    const displaced = [...this.#displacedCopies(), ...this.#displacedGuests()];
    const explanations = this.#explanations();
    const reasons = new Reasons(this.#board, this.#found.style);
    return {
      assignments,
      arrivals,
      displaced: displaced.sort(
        (left, right) => compareText(left.modelId, right.modelId) || compareText(left.neuron, right.neuron),
      ),
      outdated: assignments
        .filter(({ status }) => status === "outdated")
        .map(({ modelId, neuron }) => ({ modelId, neuron })),
      explanations,
      unknown: [...this.#unknown.values()].sort((left, right) => compareText(left.modelId, right.modelId)),
      gap: this.#found.gap,
      explain: (assignment) => reasons.of(assignment),
    };
  }

  #assignments(): Assignment[] {
    const { models } = this.#problem;
    return models.flatMap(({ applicants, id }) => {
      const origins = this.#originsOf(id);
      return applicants.flatMap((applicant) => {
        const place = this.#board.places[applicant];
        return place === undefined ? [] : [this.#assignment(applicant, { place, origins })];
      });
    });
  }

  #assignment(
    applicant: ApplicantNo,
    { place, origins }: { readonly place: Place; readonly origins: string[] },
  ): Assignment {
    const model = this.#board.modelOf(applicant);
    const status = this.#statusOf(applicant, place);
    const { home, ordinal } = itemAt(this.#problem.applicants, applicant);
    const leaves = home === null ? origins.shift() : home.copy.neuron.name;
    const moves = status === "moved" || (status === "new" && leaves !== undefined);
    return {
      modelId: model.id,
      ordinal,
      neuron: this.#neuronName(place),
      devices: place.devices.map((device) => this.#indexOf(device)),
      deviceMib: place.mib,
      status: moves ? "moved" : status,
      movedFrom: moves ? (leaves ?? null) : null,
      need: model.desired.need,
    };
  }

  #statusOf(applicant: ApplicantNo, place: Place): Assignment["status"] {
    const { home } = itemAt(this.#problem.applicants, applicant);
    if (home === null) return "new";
    if (at(this.#board.untouched, applicant) === 1) return home.current ? "kept" : "outdated";
    return place.neuron === home.place.neuron && !home.current ? "renewed" : "moved";
  }

  /** Neurons from which a copy of the model has to go although it is still wanted. */
  #originsOf(modelId: string): string[] {
    return (this.#problem.copiesOf.get(modelId) ?? [])
      .filter(({ standing }) => standing.kind === "leaves" && standing.stillWanted)
      .map(({ neuron }) => neuron.name)
      .toSorted(compareText);
  }

  #arrivals(): Arrival[] {
    const { places, untouched, rank } = this.#board;
    return places
      .flatMap((place, applicant) =>
        place === undefined || at(untouched, applicant) === 1 ? [] : [{ place, applicant }],
      )
      .sort((left, right) => at(rank, left.applicant) - at(rank, right.applicant))
      .map(({ place, applicant }) => ({
        modelId: this.#board.modelOf(applicant).id,
        neuron: this.#neuronName(place),
        shares: new Map(
          place.devices.map((device, position) => [this.#indexOf(device), shareAt(place, position)]),
        ),
      }));
  }

  #displacedCopies(): Departure[] {
    return this.#problem.applicants.flatMap(({ home }, applicant) => {
      if (home === null || at(this.#board.untouched, applicant) === 1) return [];
      // New settings have to be loaded anyway; only a copy that found no place again, or lets another in first, gives way.
      const isRenewed = !home.current && this.#board.places[applicant] !== undefined;
      if (isRenewed && at(this.#board.leftEarly, applicant) === 0) return [];
      const beneficiary = this.#beneficiary(applicant, home.place);
      return [
        {
          modelId: this.#board.modelOf(applicant).id,
          neuron: home.copy.neuron.name,
          inFavourOf: this.#board.modelOf(beneficiary).id,
        },
      ];
    });
  }

  /**
   * The copy for which this one left its home: as the search noted it, unless that one has no place after all, else the
   * largest that came there instead.
   */
  #beneficiary(applicant: ApplicantNo, home: Place): ApplicantNo {
    const noted = this.#board.copyLeftFor(applicant);
    const comes =
      noted !== undefined &&
      this.#board.places[noted] !== undefined &&
      at(this.#board.untouched, noted) === 0;
    return (
      (comes ? noted : undefined) ??
      newcomersOn(this.#board, home).find((other) => other !== applicant) ??
      applicant
    );
  }

  #displacedGuests(): Departure[] {
    return this.#problem.guests.flatMap(({ modelId, place }, guest) => {
      if (at(this.#board.evicted, guest) === 0) return [];
      const beneficiary = present(this.#board.guestLeftFor(guest), "the copy that displaces", modelId);
      return [{ modelId, neuron: this.#neuronName(place), inFavourOf: this.#board.modelOf(beneficiary).id }];
    });
  }

  /** What found no place may still be on a neuron that does not answer; only the rest is known to be missing. */
  #explanations(): UnplacedExplanation[] {
    const { models, applicants } = this.#problem;
    const homeOf = (applicant: ApplicantNo): Home | null => itemAt(applicants, applicant).home;
    const unplaced = models.flatMap((model) => {
      const without = model.applicants.filter(
        (applicant) => this.#board.places[applicant] === undefined,
      ).length;
      const outdated = model.applicants.filter(
        (applicant) => at(this.#board.untouched, applicant) === 1 && homeOf(applicant)?.current === false,
      ).length;
      // What was seen somewhere and lost its place is not in doubt: it is missing.
      const unseen = model.applicants.filter(
        (applicant) => this.#board.places[applicant] === undefined && homeOf(applicant) === null,
      ).length;
      const missing = without - this.#claim(model, unseen);
      return missing + outdated === 0 ? [] : [{ model, missing, outdated }];
    });
    const depths = this.#depths(unplaced.map(({ model }) => model));
    return unplaced.map((row) =>
      explainUnplaced(this.#board, { ...row, depth: depths.get(row.model.id) ?? "brief" }),
    );
  }

  /** The highest classes first, as far as the looks last: a neuron looked at for a model is one. */
  #depths(models: readonly ProblemModel[]): ReadonlyMap<string, UnplacedQuestion["depth"]> {
    const { explain = true, nameOnly = false, explainFully = [] } = this.#problem.input.options ?? {};
    if (!explain || nameOnly) return new Map();
    let looks = LOOKS_TO_EXPLAIN;
    let conflicts = CONFLICTS_TO_EXPLAIN;
    const isAsked = ({ id }: ProblemModel): number => (explainFully.includes(id) ? 1 : 0);
    const inOrder = models.toSorted(
      (left, right) =>
        isAsked(right) - isAsked(left) || right.priority - left.priority || compareText(left.id, right.id),
    );
    return new Map(
      inOrder.map((model) => {
        looks -= this.#problem.neurons.length;
        conflicts -= 1;
        if (looks < 0 && isAsked(model) === 0) return [model.id, "brief"];
        return [model.id, conflicts >= 0 || isAsked(model) === 1 ? "full" : "plain"];
      }),
    );
  }

  #claim(model: ProblemModel, missing: number): number {
    if (missing === 0) return 0;
    const earlier = this.#unknown.get(model.id)?.replicas ?? 0;
    const neurons = silentNeurons(this.#problem.input, model.desired);
    const claims = Math.max(0, Math.min(missing, neurons.length - earlier));
    if (claims > 0) this.#unknown.set(model.id, { modelId: model.id, replicas: earlier + claims, neurons });
    return claims;
  }

  #neuronName(place: Place): string {
    return itemAt(this.#problem.neurons, place.neuron).name;
  }

  /** As its neuron counts it. */
  #indexOf(device: DeviceNo): number {
    return itemAt(this.#problem.devices, device).index;
  }
}
