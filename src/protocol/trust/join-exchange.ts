import { z } from "zod";

/** What the bearer of a certificate may do: answer as a neuron, or command neurons. */
export const memberRoleSchema = z.enum(["neuron", "control"]);
export type MemberRole = z.output<typeof memberRoleSchema>;

/** Paths of an authority, all over TLS with a certificate that it has signed for itself. */
export const JOIN_PATH = "/join";
export const RENEW_PATH = "/renew";
export const REVOCATIONS_PATH = "/revocations";

const pem = z.string().min(1).max(16_384);

/** An invitation taken up: its secret, and a request for a certificate whose key never leaves the machine. */
export const joinRequestSchema = z.object({
  invitation: z.string().min(1).max(64),
  secret: z.string().min(1).max(128),
  request: pem,
});
export type JoinRequest = z.output<typeof joinRequestSchema>;

/** A new certificate for the bearer of the present one, who shows so by signing the new request with its key. */
export const renewRequestSchema = z.object({
  certificate: pem,
  request: pem,
  /** ECDSA over the bytes of `request`, base64. */
  signature: z.string().min(1).max(512),
});
export type RenewRequest = z.output<typeof renewRequestSchema>;

export const certificateResponseSchema = z.object({
  certificate: z.string(),
  /** The list of revoked certificates, signed by the authority. */
  revocations: z.string(),
  /** The authorities to trust, as PEM, the one that signs now first; absent from an authority that cannot be exchanged. */
  authorities: z.string().max(65_536).optional(),
});
export type CertificateResponse = z.output<typeof certificateResponseSchema>;

/** Also what a neuron takes at `POST /revocations`. */
export const revocationsSchema = z.object({ revocations: z.string().min(1).max(4_194_304) });

/** `GET` of an authority: with the list, whom to trust. */
export const standingSchema = revocationsSchema.extend({ authorities: z.string().max(65_536).optional() });
export type Standing = z.output<typeof standingSchema>;
