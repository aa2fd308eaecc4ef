import type { MemberRole } from "../protocol/trust/join-exchange.ts";

const DAY_MS = 86_400_000;

export const AUTHORITY_LIFE_MS = 3650 * DAY_MS;
export const MEMBER_LIFE_MS = 30 * DAY_MS;
/** Clocks of machines differ; a certificate counts from a little earlier. */
export const CLOCK_SKEW_MS = 300_000;

/** Whose a certificate is, as its subject and dates say. */
export interface CertificateFacts {
  readonly name: string;
  readonly role: MemberRole | "authority" | null;
  /** Hex, lower case, without leading zeros. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Two thirds of a life are used; the last third is there for an authority that is away for a while. */
export const renewsAtMs = ({ notBeforeMs, notAfterMs }: CertificateFacts): number =>
  notBeforeMs + Math.floor(((notAfterMs - notBeforeMs) * 2) / 3);

export const normalSerial = (serial: string): string => serial.toLowerCase().replace(/^0+(?=.)/, "");
