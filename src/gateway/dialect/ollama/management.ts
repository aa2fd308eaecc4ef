import { CortexError } from "../../../core/errors.ts";

export interface ManagementRoute {
  readonly method: "POST" | "DELETE";
  readonly path: string;
  /** What is done here instead. */
  readonly instead: string;
}

const DECLARE = "declare the model in the fleet files: [[models]] with a source; neurons fetch it themselves";

/** Models are managed by the fleet files: what clients would do by a call is done by a commit. */
export const MANAGEMENT_ROUTES: readonly ManagementRoute[] = [
  { method: "POST", path: "/api/pull", instead: DECLARE },
  { method: "POST", path: "/api/create", instead: DECLARE },
  { method: "POST", path: "/api/push", instead: "models are not published from here" },
  {
    method: "POST",
    path: "/api/copy",
    instead: "another name for a model is a line of [aliases] in the fleet files",
  },
  {
    method: "DELETE",
    path: "/api/delete",
    instead: "take the model out of the fleet files, then cortex apply",
  },
  { method: "POST", path: "/api/blobs/:digest", instead: DECLARE },
];

export const notManagedHere = ({ instead }: ManagementRoute): CortexError =>
  new CortexError(
    "managed_by_fleet_files",
    `models of this endpoint are managed by its fleet files: ${instead}`,
    {
      next: instead,
    },
  );
