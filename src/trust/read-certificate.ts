import { createHash, X509Certificate } from "node:crypto";
import { z } from "zod";
import { memberRoleSchema } from "../protocol/trust/join-exchange.ts";
import { normalSerial, type CertificateFacts } from "./certificate-life.ts";

export const fingerprintOf = (certificate: X509Certificate): string =>
  createHash("sha256").update(certificate.raw).digest("hex");

const ONE_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The authorities that are trusted, as PEM one after the other: the one that signs now comes first. */
export const authoritiesOf = (bundle: string): readonly X509Certificate[] =>
  (bundle.match(ONE_CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));

/** Which of them signed a certificate; -1 for none. */
export const signerAmong = (bundle: string, certificate: X509Certificate): number =>
  authoritiesOf(bundle).findIndex(({ publicKey }) => certificate.verify(publicKey));

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  const { subject } = certificate.toLegacyObject();
  const unit = z.enum([...memberRoleSchema.options, "authority"]).safeParse(subject.OU);
  return {
    name: typeof subject.CN === "string" ? subject.CN : "",
    role: unit.success ? unit.data : null,
    serial: normalSerial(certificate.serialNumber),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
}
