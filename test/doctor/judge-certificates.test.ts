import { expect, test } from "vitest";
import { judgeCertificates, type CertificateSeen } from "../../src/doctor/judge-certificates.ts";

const DAY_MS = 86_400_000;
const seen: CertificateSeen = {
  path: "/data/identity/neuron.json",
  bearer: "neuron",
  name: "beast",
  notBeforeMs: 100 * DAY_MS,
  notAfterMs: 130 * DAY_MS,
  renewsAtMs: 120 * DAY_MS,
  isSigned: true,
  address: "10.0.0.1:31315",
  isExchanged: false,
};

test.each([
  { what: "is young", changes: {}, day: 101, status: "ok", says: "good until 1970-05-11 00:00" },
  {
    what: "should have been renewed",
    changes: {},
    day: 121,
    status: "warning",
    says: "should have been renewed",
    mend: "10.0.0.1:31315",
  },
  {
    what: "is over",
    changes: {},
    day: 130,
    status: "problem",
    says: "was good until",
    mend: "cortex neuron invite beast where",
  },
  {
    what: "begins later",
    changes: {},
    day: 99,
    status: "problem",
    says: "the clock of this machine is behind",
    mend: "timedatectl",
  },
  {
    what: "is another's",
    changes: { isSigned: false },
    day: 101,
    status: "problem",
    says: "not signed by its authority",
    mend: "cortex neuron join",
  },
  {
    what: "of a program is over",
    changes: { bearer: "control" as const },
    day: 140,
    status: "problem",
    says: "was good until",
    mend: "beast --control",
  },
  {
    what: "of an old authority",
    changes: { bearer: "authority" as const },
    day: 125,
    status: "warning",
    says: "the authority is good until",
    mend: "cortex neuron rotate",
  },
  { what: "is being exchanged", changes: { isExchanged: true }, day: 101, status: "note", says: "under way" },
])("a certificate that $what", ({ changes, day, status, says, mend = "" }) => {
  const [found] = judgeCertificates([{ ...seen, ...changes }], day * DAY_MS);
  expect(found).toMatchObject({ check: "certificate", subject: seen.path, status });
  expect(found?.message).toContain(says);
  expect(found?.mend ?? "").toContain(mend);
});

test("a file that others can read is told with its mend", () => {
  const trouble = { message: "others can read the key in it", next: "chmod 600 x" };
  expect(judgeCertificates([{ path: "x", trouble }], 0)).toMatchObject([
    { status: "problem", message: trouble.message, mend: trouble.next },
  ]);
});
