import { CortexError } from "../../core/errors.ts";
import { maskSecrets } from "../../fleet/text/mask-secrets.ts";
import { saysPromisor, saysSilent, tellingLine } from "../git-complaints.ts";

/** A process of git that says nothing for so long is ended. */
export const GIT_SILENCE_MS = 30_000;

/** git in trouble while a repository is read: its own words, and what to do about them. */
export function gitFailure(thrown: unknown): CortexError {
  if (thrown instanceof CortexError) return thrown;
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  const { reason, next } = troubleOf(words);
  return new CortexError("fleet_unreachable", `git cannot read the repository: ${reason}`, {
    next,
    cause: thrown,
  });
}

/** Not an answer such as "no such revision": git could not look. */
export const isTrouble = (thrown: unknown): boolean =>
  !(thrown instanceof Error) || saysPromisor(thrown.message) || saysSilent(thrown.message);

function troubleOf(words: string): { readonly reason: string; readonly next: string } {
  if (saysSilent(words))
    return {
      reason: "it said nothing for too long and was ended",
      next: "run `git status` there: a slow disk, or a git that waits for something, keeps it waiting too",
    };
  const said = maskSecrets(tellingLine(words));
  if (saysPromisor(words))
    return {
      reason: `the clone is partial, and what it lacks could not be fetched: ${said}`,
      next: "run `git fetch --refetch --no-filter` where its remote can be reached, or clone without --filter",
    };
  return { reason: said, next: "run `git fsck` there and follow what git says" };
}
