import type { MemberRole } from "../protocol/trust/join-exchange.ts";

/* Where certificates are kept below a user's data directory; for that user alone. */

export const identityPath = (dataDirectory: string, role: MemberRole): string =>
  `${dataDirectory}/identity/${role}.json`;

export const authorityDirectory = (dataDirectory: string): string => `${dataDirectory}/authority`;

export const authorityFile = (dataDirectory: string): string =>
  `${authorityDirectory(dataDirectory)}/authority.json`;
