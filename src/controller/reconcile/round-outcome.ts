/** How a look at the repository and the fleet ended. `commit`: the head of the branch; null where it could not be fetched. */
export type RoundOutcome =
  /** The fleet is as the commit declares it. */
  | { readonly kind: "in-sync"; readonly commit: string; readonly message: string }
  /** It was not, and now is. */
  | { readonly kind: "applied"; readonly commit: string; readonly message: string }
  /** The fleet changed under a commit that was applied; seen once, which may be a moment in between. */
  | { readonly kind: "drift-suspected"; readonly commit: string; readonly message: string }
  /** It differs, and `mode = "detect"` leaves it so. */
  | { readonly kind: "drifted"; readonly commit: string; readonly message: string }
  /** Nothing was changed because somebody has suspended the loop, or it is not the time for changes. */
  | {
      readonly kind: "held-back";
      readonly reason: "Suspended" | "OutsideWindow";
      readonly commit: string;
      readonly message: string;
      /** When that ends by itself, in milliseconds since 1970; null where somebody has to end it. */
      readonly until_ms: number | null;
      /** There is nothing to change anyway. */
      readonly in_sync: boolean;
    }
  /** It may succeed when it is tried again. */
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly commit: string | null;
      readonly message: string;
    }
  /** Nothing was changed, and trying again does not help: a person has to. */
  | {
      readonly kind: "refused";
      readonly reason: string;
      readonly commit: string | null;
      readonly message: string;
    };
