import { access } from "node:fs/promises";
import type { MemberRole } from "../../protocol/trust/join-exchange.ts";
import { authorityFile, identityPath } from "../places.ts";

/* Whether there is anything to open: most machines have none, and are spared the loading of what reads it. */

/** For who commands neurons an authority is as good as a join. */
export async function hasCertificate(dataDirectory: string, role: MemberRole = "control"): Promise<boolean> {
  if (await isThere(identityPath(dataDirectory, role))) return true;
  return role === "control" && hasAuthority(dataDirectory);
}

export const hasAuthority = (dataDirectory: string): Promise<boolean> =>
  isThere(authorityFile(dataDirectory));

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
