import type { Finding } from "../protocol/findings/doctor-report.ts";
import { note, problem, warning, well } from "./found.ts";

/** A certificate of the fleet that lies on this machine. */
export interface CertificateSeen {
  readonly path: string;
  /** Of a neuron or a program that has joined, or the authority's own. */
  readonly bearer: "neuron" | "control" | "authority";
  readonly name: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** From then on its bearer asks for the next one; of the authority from when somebody should think of one. */
  readonly renewsAtMs: number;
  /** An authority that is trusted with it has signed it. */
  readonly isSigned: boolean;
  /** Where its authority answers. */
  readonly address: string;
  /** An exchange of the authority is under way. */
  readonly isExchanged: boolean;
}

export type CertificateFile =
  | CertificateSeen
  | { readonly path: string; readonly trouble: { readonly message: string; readonly next: string } };

export const judgeCertificates = (files: readonly CertificateFile[], nowMs: number): readonly Finding[] =>
  files.map((file) =>
    "trouble" in file
      ? problem({ check: "certificate", subject: file.path }, file.trouble.message, file.trouble.next)
      : judge(file, nowMs),
  );

function judge(seen: CertificateSeen, nowMs: number): Finding {
  const { path, bearer, name, address } = seen;
  const subject = { check: "certificate", subject: path } as const;
  const again =
    bearer === "authority"
      ? "cortex neuron rotate --force, three times; then invite every machine anew"
      : `cortex neuron invite ${name}${bearer === "control" ? " --control" : ""} where the authority is, and here cortex neuron join`;
  if (!seen.isSigned)
    return problem(subject, `the certificate of ${name} is not signed by its authority`, again);
  if (seen.notBeforeMs > nowMs) {
    const message = `the certificate of ${name} is good from ${dateOf(seen.notBeforeMs)} on: the clock of this machine is behind`;
    return problem(subject, message, "set the clock: timedatectl set-ntp true");
  }
  const until = dateOf(seen.notAfterMs);
  if (seen.notAfterMs <= nowMs)
    return problem(subject, `the certificate of ${name} was good until ${until}`, again);
  if (seen.renewsAtMs <= nowMs) {
    return bearer === "authority"
      ? warning(subject, `the authority is good until ${until}`, "cortex neuron rotate, three times")
      : warning(
          subject,
          `the certificate of ${name} is good until ${until}, and should have been renewed by now`,
          `see that cortex serve runs at ${address} and is reached from here; then start what uses it anew`,
        );
  }
  if (seen.isExchanged)
    return note(subject, `an exchange of the authority is under way: cortex neuron rotate`);
  return well(subject, `${bearer === "authority" ? "the authority" : name} is good until ${until}`);
}

const dateOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 16).replace("T", " ");
