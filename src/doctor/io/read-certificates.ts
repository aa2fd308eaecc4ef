import { X509Certificate } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import { toCortexError } from "../../core/errors.ts";
import { memberRoleSchema } from "../../protocol/trust/join-exchange.ts";
import { renewsAtMs } from "../../trust/certificate-life.ts";
import { hasAuthority } from "../../trust/io/has-certificate.ts";
import { readIdentity } from "../../trust/io/identity-file.ts";
import { authorityDirectory, authorityFile, identityPath } from "../../trust/places.ts";
import { authoritiesOf, certificateFacts, signerAmong } from "../../trust/read-certificate.ts";
import type { CertificateFile, CertificateSeen } from "../judge-certificates.ts";

/** What this user has of the fleet's certificates; empty where nobody has joined or invited. */
export async function readCertificates(
  dataDirectory: string,
  clock: Clock,
): Promise<readonly CertificateFile[]> {
  const members = memberRoleSchema.options.map((role) =>
    orTrouble(identityPath(dataDirectory, role), (path) => readMember(path, role)),
  );
  const authority = orTrouble(authorityFile(dataDirectory), (path) =>
    readAuthority(dataDirectory, path, clock),
  );
  return (await Promise.all([...members, authority])).flatMap((file) => file ?? []);
}

async function orTrouble(
  path: string,
  read: (path: string) => Promise<CertificateSeen | null>,
): Promise<CertificateFile | null> {
  try {
    return await read(path);
  } catch (thrown) {
    const { message, next } = toCortexError(thrown);
    return { path, trouble: { message, next } };
  }
}

async function readMember(path: string, bearer: "neuron" | "control"): Promise<CertificateSeen | null> {
  const identity = await readIdentity(path);
  if (identity === null) return null;
  const { certificate, authority, address, name } = identity;
  const leaf = new X509Certificate(certificate);
  const facts = certificateFacts(leaf);
  const isExchanged = authoritiesOf(authority).length > 1;
  const isSigned = signerAmong(authority, leaf) >= 0;
  return { path, bearer, ...facts, name, renewsAtMs: renewsAtMs(facts), isSigned, address, isExchanged };
}

// oxlint-disable-next-line max-params -- where, under which name, and by which clock
async function readAuthority(
  dataDirectory: string,
  path: string,
  clock: Clock,
): Promise<CertificateSeen | null> {
  if (!(await hasAuthority(dataDirectory))) return null;
  const { Authority } = await import("../../trust/io/authority.ts");
  const authority = await Authority.open(authorityDirectory(dataDirectory), clock);
  if (authority === null) return null;
  const own = new X509Certificate(authority.certificate);
  const facts = certificateFacts(own);
  const { host, port } = authority.address;
  return {
    path,
    bearer: "authority",
    ...facts,
    renewsAtMs: renewsAtMs(facts),
    isSigned: own.verify(own.publicKey),
    address: `${host}:${port}`,
    isExchanged: authority.exchange !== "none",
  };
}
