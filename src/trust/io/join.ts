import { createPrivateKey, sign, X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { Agent, request } from "undici";
import type { z } from "zod";
import { parseHostAndPort } from "../../core/addresses.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { readBoundedText } from "../../protocol/io/bounded-body.ts";
import { connectionProblem } from "../../protocol/neuron-failure.ts";
import {
  certificateResponseSchema,
  JOIN_PATH,
  RENEW_PATH,
  REVOCATIONS_PATH,
  standingSchema,
  type CertificateResponse,
  type JoinRequest,
  type RenewRequest,
  type Standing,
} from "../../protocol/trust/join-exchange.ts";
import type { JoinToken } from "../join-token.ts";
import { certificateFacts, fingerprintOf } from "../read-certificate.ts";
import type { Identity } from "./identity-file.ts";
import { requestCertificate } from "./x509.ts";

const CALL_TIMEOUT_MS = 10_000;
const ANSWER_LIMIT_MIB = 8;

/** Takes an invitation up. The key is made here and stays here. */
export async function takeUp(token: JoinToken, clock: Clock): Promise<Identity> {
  const { address, name, role, invitation, secret } = token;
  const authority = await authorityOf(token, clock);
  const made = await requestCertificate(name);
  const asked: JoinRequest = { invitation, secret, request: made.request };
  const server = { address, authority, clock };
  const answer = await ask(server, { path: JOIN_PATH, body: asked }, certificateResponseSchema);
  const facts = certificateFacts(new X509Certificate(answer.certificate));
  if (facts.name !== name || facts.role !== role) {
    throw new CortexError("invitation_refused", `the authority knows the invitation as one of ${facts.name}`);
  }
  return { name, role, address, key: made.key, ...withAuthorities(authority, answer) };
}

/** The same bearer with a new key and a new certificate. */
export async function renewed(identity: Identity, clock: Clock): Promise<Identity> {
  const made = await requestCertificate(identity.name);
  const asked: RenewRequest = {
    certificate: identity.certificate,
    request: made.request,
    signature: sign("sha256", Buffer.from(made.request), createPrivateKey(identity.key)).toString("base64"),
  };
  const answer = await ask(
    { ...identity, clock },
    { path: RENEW_PATH, body: asked },
    certificateResponseSchema,
  );
  return { ...identity, key: made.key, ...withAuthorities(identity.authority, answer) };
}

/** It came over a connection to an authority that is trusted already: so is whom it names. */
const withAuthorities = (
  known: string,
  { certificate, revocations, authorities }: CertificateResponse,
): Pick<Identity, "certificate" | "revocations" | "authority"> => ({
  certificate,
  revocations,
  authority: authorities ?? known,
});

export const fetchStanding = (identity: Identity, clock: Clock): Promise<Standing> =>
  ask({ ...identity, clock }, { path: REVOCATIONS_PATH }, standingSchema);

/**
 * The certificate of the authority that answers at the address, where it is the one of the fingerprint. Nothing is
 * sent on this connection: whether who answers holds the authority's word is TLS's to check on the next one.
 */
async function authorityOf({ address, fingerprint }: JoinToken, clock: Clock): Promise<string> {
  const timedOut = () => unreachable(address, "no answer in time");
  const chain = await withDeadline({ clock, timeoutMs: CALL_TIMEOUT_MS, timedOut }, (signal) =>
    shownChain(address, signal),
  );
  const found = chain.find((certificate) => fingerprintOf(certificate) === fingerprint);
  if (found !== undefined) return found.toString();
  throw new CortexError(
    "authority_unproven",
    `who answers at ${address} is not the authority that made this invitation`,
  );
}

function shownChain(address: string, signal: AbortSignal): Promise<readonly X509Certificate[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly X509Certificate[]>();
  // Unchecked on purpose: what is read here is compared with the fingerprint, and all else comes after a checked handshake.
  const socket = connect({ ...parseHostAndPort(address), rejectUnauthorized: false, minVersion: "TLSv1.3" });
  const abort = (): void => {
    socket.destroy();
    reject(toCortexError(signal.reason));
  };
  signal.addEventListener("abort", abort, { once: true });
  socket.once("secureConnect", () => {
    resolve(chainOf(socket));
    socket.destroy();
  });
  socket.once("error", (thrown) => {
    reject(unreachable(address, connectionProblem(thrown), thrown));
  });
  return promise.finally(() => {
    signal.removeEventListener("abort", abort);
  });
}

function chainOf(socket: TLSSocket): readonly X509Certificate[] {
  const leaf = socket.getPeerCertificate(true);
  const chain: X509Certificate[] = [];
  for (let one = leaf; chain.length < 8; one = one.issuerCertificate) {
    chain.push(new X509Certificate(one.raw));
    if (one.issuerCertificate === undefined || one.issuerCertificate === one) break;
  }
  return chain;
}

interface AuthorityServer {
  readonly address: string;
  /** Its certificate: whoever answers must have been signed by it. */
  readonly authority: string;
  readonly clock: Clock;
}

interface Question {
  readonly path: string;
  readonly body?: unknown;
}

async function ask<Schema extends z.ZodType>(
  server: AuthorityServer,
  question: Question,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { address, clock } = server;
  const timedOut = () => unreachable(address, "no answer in time");
  const answer = await withDeadline({ clock, timeoutMs: CALL_TIMEOUT_MS, timedOut }, (signal) =>
    send(server, question, signal),
  );
  const body = parseJson(answer.text);
  if (answer.status !== 200) throw fromErrorResponse(answer.status, body, "authority_unreachable");
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw unreachable(address, "it answers with something that no authority says");
}

async function send(
  { address, authority }: AuthorityServer,
  { path, body }: Question,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const agent = new Agent({
    connect: {
      ca: authority,
      minVersion: "TLSv1.3",
      checkServerIdentity: (_host, certificate) => {
        const { role } = certificateFacts(new X509Certificate(certificate.raw));
        return role === "authority"
          ? undefined
          : new Error("the certificate is a member's, not the authority's");
      },
    },
  });
  try {
    const response = await request(`https://${address}${path}`, {
      dispatcher: agent,
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
    });
    return { status: response.statusCode, text: await readBoundedText(response.body, ANSWER_LIMIT_MIB) };
  } catch (thrown) {
    if (signal.aborted) throw toCortexError(signal.reason);
    throw unreachable(address, connectionProblem(thrown), thrown);
  } finally {
    await agent.destroy();
  }
}

const unreachable = (address: string, problem: string, cause?: unknown): CortexError =>
  new CortexError("authority_unreachable", `the authority (${address}): ${problem}`, { cause });
