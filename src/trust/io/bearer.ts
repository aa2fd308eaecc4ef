import type { TlsMaterial } from "../../platform/http-server.ts";

/** Whoever calls neurons by certificate: the operator's own programs beside the authority, or a machine that has joined to control. */
export interface Bearer {
  /** For the next connection. */
  readonly shown: TlsMaterial;
  isRevoked(serial: string): boolean;
  /** Looks after news from now on; `changed` after each. Returns how to stop. */
  follow(changed: () => void): () => void;
}
