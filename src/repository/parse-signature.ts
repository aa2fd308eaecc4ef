/** Whose signature a commit has, by what `git verify-commit --raw` says; a signer is named only where all of it is good. */
export type SignatureVerdict =
  | { readonly kind: "good"; readonly signer: string }
  | { readonly kind: "bad"; readonly reason: string };

/** `format`: the only kind of signature that counts. */
export function parseSignature(
  said: string,
  { format, exitCode }: { readonly format: "ssh" | "gpg"; readonly exitCode: number | null },
): SignatureVerdict {
  const lines = said.split("\n");
  const find = (pattern: RegExp): string | undefined =>
    lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
  if (said.trim() === "") return { kind: "bad", reason: "the commit is not signed" };
  if (exitCode === 0 && format === "ssh") {
    const signer = find(/^Good "git" signature for (\S+) with /);
    if (signer !== undefined) return { kind: "good", signer };
  }
  if (exitCode === 0 && format === "gpg" && find(/^\[GNUPG:\] (VALIDSIG) /) !== undefined) {
    const signer = find(/^\[GNUPG:\] GOODSIG \S+ (.+)$/);
    if (signer !== undefined) return { kind: "good", signer };
  }
  if (/No principal matched|NO_PUBKEY|ERRSIG/.test(said))
    return { kind: "bad", reason: "the commit is signed by a key that is not among the signers" };
  if (/BADSIG|incorrect signature|Could not verify/i.test(said))
    return { kind: "bad", reason: "the signature does not fit the commit" };
  return { kind: "bad", reason: `the commit has no good ${format} signature` };
}
