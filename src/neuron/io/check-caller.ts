import { createHash, timingSafeEqual, type X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import type { FastifyRequest } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import type { Member } from "../../trust/io/member.ts";
import { certificateFacts } from "../../trust/read-certificate.ts";

export interface CallerRules {
  readonly token?: string | undefined;
  /** Present where this machine has joined: certificates of the same authority are taken. */
  readonly member?: Member | undefined;
}

/** Answered to everybody: they tell nothing but that the neuron lives and how loaded it is. */
const OPEN_ROUTES = new Set(["/version", "/health"]);

/** Looked at for each request, not only for each connection: who is revoked is refused at once. Throws `unauthorized`. */
export function checkCaller(request: FastifyRequest, rules: CallerRules, clock: Clock): void {
  if (OPEN_ROUTES.has(request.routeOptions.url ?? "")) return;
  const { token, member } = rules;
  if (token === undefined && member === undefined) {
    refuseWebPages(request);
    return;
  }
  const shown = member === undefined ? null : shownCertificate(request, member);
  if (shown !== null) {
    refuseCertificate(shown, clock);
    return;
  }
  const given = sentToken(request);
  if (given !== undefined && sameSecret(given, token)) return;
  throw member === undefined ? tokenMissing(given) : certificateMissing(token);
}

const sentToken = ({ headers }: FastifyRequest): string | undefined =>
  /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1]?.trim();

function shownCertificate({ raw: { socket } }: FastifyRequest, member: Member): Shown | null {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  return certificate === undefined ? null : { certificate, socket: socket as TLSSocket, member };
}

/** Without a token a page in the operator's browser could reach a loopback port; browsers name their origin. */
function refuseWebPages(request: FastifyRequest): void {
  if (request.method === "GET" || request.headers.origin === undefined) return;
  throw new CortexError("unauthorized", "a web page may not act on this neuron", {
    next: "call the neuron from a program, or start it with --token-file",
  });
}

const tokenMissing = (given: string | undefined): CortexError =>
  new CortexError(
    "unauthorized",
    given === undefined ? "no token was sent" : "the token is not this neuron's",
  );

const certificateMissing = (token: string | undefined): CortexError =>
  refusal(
    `no certificate of the fleet was shown${token === undefined ? "" : ", nor the token of this neuron"}`,
  );

interface Shown {
  readonly certificate: X509Certificate;
  /** Authorized: TLS found the certificate signed by this fleet's authority, for a client, and in time. */
  readonly socket: TLSSocket;
  readonly member: Member;
}

function refuseCertificate({ certificate, socket, member }: Shown, clock: Clock): void {
  const { name, role, serial, notAfterMs } = certificateFacts(certificate);
  if (notAfterMs <= clock.nowMs()) throw refusal(`the certificate of ${name} has expired`);
  if (!socket.authorized)
    throw refusal(`the certificate is not one of this fleet (${String(socket.authorizationError)})`);
  if (role !== "control") throw refusal(`the certificate of ${name} is not one that may command neurons`);
  if (member.isRevoked(serial)) throw refusal(`the certificate of ${name} was revoked`);
}

const refusal = (message: string): CortexError =>
  new CortexError("unauthorized", message, {
    details: { credential: "certificate" },
    next: "call from where the fleet's authority is, or let the calling machine join: cortex neuron invite NAME --control",
  });

/** Equal lengths by hashing, then a comparison that takes the same time wherever they differ. */
function sameSecret(given: string, expected: string | undefined): boolean {
  if (expected === undefined) return false;
  return timingSafeEqual(digestOf(given), digestOf(expected));
}

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();
