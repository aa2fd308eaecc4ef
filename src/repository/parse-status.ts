/** `XY `, and then the path. */
const STATUS_LENGTH = 3;

/**
 * Every path that `git status --porcelain=v1 -z` names. Of a rename or a copy that is both: the new path, and the old
 * one, which comes as a field of its own without a status.
 */
export function parseStatus(answer: string): string[] {
  const fields = answer.split("\0");
  const paths: string[] = [];
  for (let at = 0; at < fields.length; at += 1) {
    const field = fields[at] ?? "";
    if (field.length <= STATUS_LENGTH) continue;
    paths.push(field.slice(STATUS_LENGTH));
    if (!/[RC]/.test(field.slice(0, 2))) continue;
    at += 1;
    paths.push(fields[at] ?? "");
  }
  return paths;
}

/** Of any listing with `-z`. */
export const parsePaths = (listing: string): string[] => listing.split("\0").filter((path) => path !== "");
