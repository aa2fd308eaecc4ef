import { X509Certificate } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import type { HostAndPort } from "../../core/addresses.ts";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { changeCertificate, createHttpServer, listen, parseJsonBody } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import {
  JOIN_PATH,
  joinRequestSchema,
  RENEW_PATH,
  renewRequestSchema,
  REVOCATIONS_PATH,
  type CertificateResponse,
  type Standing,
} from "../../protocol/trust/join-exchange.ts";
import { renewsAtMs } from "../certificate-life.ts";
import { repeat } from "./repeat.ts";
import { authoritiesOf, certificateFacts, fingerprintOf } from "../read-certificate.ts";
import type { Authority } from "./authority.ts";

export interface RunningAuthority {
  readonly address: HostAndPort;
  close(): Promise<void>;
}

export interface AuthorityServerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told whose certificate was given out. */
  readonly onIssued?: (invitation: string) => void;
}

/** Also whether the authority was exchanged. */
const RENEWAL_LOOK_MS = 10_000;
/** A certificate request is 500 bytes. */
const BODY_LIMITS = { maxBytes: 65_536, minBytesPerSec: 0 };

/**
 * Answers those who join and renew. Its TLS certificate is signed by the authority, whose fingerprint the invitation
 * carries, so that nobody between can read the secret or put a key of their own in place of the asker's.
 */
export async function startAuthorityServer(
  authority: Authority,
  deps: AuthorityServerDeps,
): Promise<RunningAuthority> {
  const { clock, logger } = deps;
  const shown = await materialOf(authority);
  const server = createHttpServer({
    logger,
    bodyLimits: () => BODY_LIMITS,
    tls: shown.tls,
    errorResponse: toErrorResponse,
  });
  const tell = ({ certificate }: CertificateResponse, words: string): void => {
    const { name, role } = certificateFacts(new X509Certificate(certificate));
    logger.info({ member: name, role }, words);
  };
  const join = async (request: FastifyRequest): Promise<CertificateResponse> => {
    const asked = readBody(request, joinRequestSchema);
    const answer = await authority.join(asked);
    tell(answer, "joined");
    deps.onIssued?.(asked.invitation);
    return answer;
  };
  const renew = async (request: FastifyRequest): Promise<CertificateResponse> => {
    const answer = await authority.renew(readBody(request, renewRequestSchema));
    tell(answer, "certificate renewed");
    return answer;
  };
  server.post(JOIN_PATH, (request) => join(request));
  server.post(RENEW_PATH, (request) => renew(request));
  server.get(REVOCATIONS_PATH, async (): Promise<Standing> => {
    const revocations = await authority.revocations();
    return { revocations, authorities: authority.trusted };
  });
  const port = await listen(server, authority.address);
  let { renewsAtMs: atMs } = shown;
  let { fingerprint } = authority;
  const renewing = repeat({ clock, everyMs: RENEWAL_LOOK_MS }, async () => {
    await authority.reload();
    if (atMs <= clock.nowMs() || authority.fingerprint !== fingerprint) {
      ({ fingerprint } = authority);
      const next = await materialOf(authority);
      changeCertificate(server, next.tls);
      atMs = next.renewsAtMs;
    }
    return "again";
  });
  return {
    address: { ...authority.address, port },
    close: async () => {
      await renewing.stop();
      await server.close();
    },
  };
}

async function materialOf(authority: Authority) {
  const { key, certificate } = await authority.credentials("authority");
  const ca = authority.trusted;
  // The chain goes with it: who joins knows the authority's own certificate by its fingerprint only.
  const signer = authoritiesOf(ca).find((one) => fingerprintOf(one) === authority.fingerprint);
  const tls = { key, cert: `${certificate}\n${String(signer)}`, ca };
  return { tls, renewsAtMs: renewsAtMs(certificateFacts(new X509Certificate(certificate))) };
}

function readBody<Schema extends z.ZodType>(request: FastifyRequest, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(parseJsonBody(request.body));
  if (parsed.success) return parsed.data;
  throw new CortexError("invalid_request_body", "this is not what cortex neuron join sends");
}
