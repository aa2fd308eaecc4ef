import { createHash, type X509Certificate } from "node:crypto";
import { z } from "zod";
import { memberRoleSchema } from "../protocol/trust/join-exchange.ts";
import { normalSerial, type CertificateFacts } from "./certificate-life.ts";

export const fingerprintOf = (certificate: X509Certificate): string =>
  createHash("sha256").update(certificate.raw).digest("hex");

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
