/** What `cortex store` says of the models that a machine has downloaded; sizes in bytes, times since the epoch. */
export interface StoreItem {
  /** The source for a model; the path below the model root for anything else. */
  readonly name: string;
  /** `orphan`: whole, and no source that is kept refers to it. */
  readonly kind: "model" | "partial" | "orphan";
  readonly bytes: number;
  readonly last_used_ms: number;
  /** Absolute; of a model in parts all of them. */
  readonly files: readonly string[];
  /** The commit of an hf: source. */
  readonly revision: string | null;
}

export interface StoreListing {
  readonly root: string;
  readonly items: readonly StoreItem[];
  readonly total_bytes: number;
  readonly free_bytes: number | null;
}

export interface StoreCollection {
  readonly root: string;
  readonly removed: readonly StoreItem[];
  readonly freed_bytes: number;
  readonly dry_run: boolean;
}

export interface StoreVerification {
  readonly root: string;
  readonly checked: readonly {
    readonly source: string;
    readonly file: string;
    /** null: the file is what came. */
    readonly problem: string | null;
  }[];
}

export interface PulledModel {
  readonly source: string;
  readonly revision: string | null;
  readonly path: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}
