import "reflect-metadata";
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
  X509Crl,
  X509CrlGenerator,
  X509Certificate as ParsedCertificate,
} from "@peculiar/x509";
import type { MemberRole } from "../../protocol/trust/join-exchange.ts";
import { authoritiesOf } from "../read-certificate.ts";
import { AUTHORITY_LIFE_MS, CLOCK_SKEW_MS, MEMBER_LIFE_MS, normalSerial } from "../certificate-life.ts";

/* Certificates made and read: the one file that knows the library. Keys are ECDSA P-256, which every TLS stack speaks. */

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A key with its certificate, both as PEM. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly certificate: string;
}

/** An authority with its key ready to sign. */
export interface Signer {
  readonly certificate: ParsedCertificate;
  readonly key: webcrypto.CryptoKey;
}

const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}

const named = (name: string, unit: string) => [{ CN: [name] }, { OU: [unit] }];

/** Positive and without leading zeros, as its first digit says; by chance no two certificates share one. */
const newSerial = (): string => `4${randomBytes(16).toString("hex").slice(1)}`;

export async function makeAuthority(nowMs: number): Promise<KeyAndCertificate> {
  const keys = await newKeys();
  const serialNumber = newSerial();
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    // Each has a name of its own: by it TLS finds the one that signed, where two are trusted during an exchange.
    name: named(`cortex authority ${serialNumber.slice(0, 8)}`, "authority"),
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + AUTHORITY_LIFE_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await keyPem(keys.privateKey), certificate: made.toString("pem") };
}

export async function readSigner({ key, certificate }: KeyAndCertificate): Promise<Signer> {
  const der = createPrivateKey(key).export({ format: "der", type: "pkcs8" });
  return {
    certificate: new ParsedCertificate(certificate),
    key: await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]),
  };
}

/** A new key, and the request for a certificate for it. */
export async function requestCertificate(
  name: string,
): Promise<{ readonly key: string; readonly request: string }> {
  const keys = await newKeys();
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return { key: await keyPem(keys.privateKey), request: request.toString("pem") };
}

export interface Issue {
  readonly name: string;
  readonly role: MemberRole | "authority";
  readonly nowMs: number;
  readonly lifeMs?: number | undefined;
}

/** What the request says of its bearer is ignored: only its key is taken, and only if it is the asker's. */
export async function issueFor(signer: Signer, request: string, issue: Issue): Promise<string | null> {
  const parsed = parseRequest(request);
  if (parsed === null || !(await parsed.verify().catch(() => false))) return null;
  const algorithm = parsed.publicKey.algorithm as { readonly name: string; readonly namedCurve?: string };
  if (algorithm.name !== ALGORITHM.name || algorithm.namedCurve !== ALGORITHM.namedCurve) return null;
  return sign(signer, await importKey(parsed.publicKey.rawData), issue);
}

const importKey = (spki: ArrayBuffer): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]);

function parseRequest(text: string): Pkcs10CertificateRequest | null {
  try {
    return new Pkcs10CertificateRequest(text);
  } catch {
    return null;
  }
}

/** For the authority's own programs: key and certificate at once, kept nowhere. */
export async function issueWithKey(signer: Signer, issue: Issue): Promise<KeyAndCertificate> {
  const keys = await newKeys();
  return { key: await keyPem(keys.privateKey), certificate: await sign(signer, keys.publicKey, issue) };
}

async function sign(signer: Signer, publicKey: webcrypto.CryptoKey, issue: Issue): Promise<string> {
  const { name, role, nowMs, lifeMs = MEMBER_LIFE_MS } = issue;
  // A neuron answers and a controller asks: one cannot pass for the other, by the rules of TLS itself.
  const usage = role === "control" ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth;
  const made = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: named(name, role),
    issuer: signer.certificate.subjectName,
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(Math.min(nowMs + lifeMs, signer.certificate.notAfter.getTime())),
    publicKey,
    signingKey: signer.key,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([usage], true),
    ],
  });
  return made.toString("pem");
}

export async function makeRevocations(
  signer: Signer,
  revoked: readonly { readonly serial: string; readonly atMs: number }[],
  nowMs: number,
): Promise<string> {
  const list = await X509CrlGenerator.create({
    issuer: signer.certificate.subjectName,
    thisUpdate: new Date(nowMs),
    // Not a promise: the library reads a list without this date as if nothing stood in it.
    nextUpdate: new Date(nowMs + MEMBER_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    signingKey: signer.key,
    entries: revoked.map(({ serial, atMs }) => ({ serialNumber: serial, revocationDate: new Date(atMs) })),
  });
  return list.toString("pem");
}

/** The serials of a list; null for one that none of these authorities has signed. */
export async function readRevocations(text: string, bundle: string): Promise<readonly string[] | null> {
  try {
    const list = new X509Crl(text);
    if (list.nextUpdate === undefined) return null;
    const checks = authoritiesOf(bundle).map(({ raw }) =>
      list.verify({ publicKey: new ParsedCertificate(raw) }).catch(() => false),
    );
    if (!(await Promise.all(checks)).includes(true)) return null;
    return list.entries.map(({ serialNumber }) => normalSerial(serialNumber));
  } catch {
    return null;
  }
}
