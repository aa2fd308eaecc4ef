import { CortexError, systemErrorCode } from "../../core/errors.ts";
import { formatBytes } from "../../core/quantities.ts";

export interface HeadroomQuestion {
  readonly freeBytes: number;
  /** Bytes of this download that are not written yet. */
  readonly neededBytes: number;
  /** The same of all other downloads under way: they were promised their room before. */
  readonly promisedBytes: number;
  /** What must stay free: a full disk stops more than a download. */
  readonly reserveBytes: number;
  /** For the message. */
  readonly directory: string;
}

/** Null when there is room; otherwise what is missing. Asked before the first byte and again on the way. */
export function headroomFailure(question: HeadroomQuestion): CortexError | null {
  const { freeBytes, neededBytes, promisedBytes, reserveBytes, directory } = question;
  const requiredBytes = neededBytes + promisedBytes + reserveBytes;
  if (neededBytes === 0 || freeBytes >= requiredBytes) return null;
  const others =
    promisedBytes === 0 ? "" : `, ${formatBytes(promisedBytes)} more are promised to other downloads`;
  return diskFull(
    `${directory} has ${formatBytes(freeBytes)} free; the download needs ${formatBytes(neededBytes)}${others} and ` +
      `${formatBytes(reserveBytes)} stay free`,
    { requiredBytes, freeBytes },
  );
}

export const diskFull = (
  message: string,
  told: {
    readonly requiredBytes: number | null;
    readonly freeBytes: number | null;
    readonly cause?: unknown;
  },
): CortexError =>
  new CortexError("disk_full", message, {
    details: { required_bytes: told.requiredBytes, free_bytes: told.freeBytes },
    ...(told.cause === undefined ? {} : { cause: told.cause }),
  });

/** What the system says of a full disk, as `disk_full`; anything else as it is. */
export const nameDiskFull = (thrown: unknown, directory: string): unknown =>
  ["ENOSPC", "EDQUOT"].includes(String(systemErrorCode(thrown)))
    ? diskFull(`the disk of ${directory} is full`, { requiredBytes: null, freeBytes: null, cause: thrown })
    : thrown;
