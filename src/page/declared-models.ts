import type { FleetState } from "../protocol/gateway-api.ts";

/** A model as the fleet files declare it, as far as the page shows it. */
export interface DeclaredModel {
  readonly id: string;
  /** Copies that stay loaded; 0: loaded when it is asked for. */
  readonly replicas: number;
}

/** The gateway says what it serves in loose words, so that versions understand each other. */
export const declaredModels = ({ declared }: Pick<FleetState, "declared">): readonly DeclaredModel[] =>
  declared.models.map(({ id, ["replicas"]: replicas }) => ({
    id,
    replicas: typeof replicas === "number" ? replicas : 0,
  }));
