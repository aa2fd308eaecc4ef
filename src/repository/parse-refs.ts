import { isCommitId } from "./parse-revision.ts";

/** Of `git ls-remote`: the object that each ref names. */
export function parseRemoteRefs(answer: string): Map<string, string> {
  const refs = new Map<string, string>();
  for (const line of answer.split("\n")) {
    const [object, ref] = line.split("\t");
    if (isCommitId(object) && ref !== undefined) refs.set(ref, object);
  }
  return refs;
}

/** Of `git log -z --format=%H%n%B`: commits with their messages, the latest first. */
export function parseLog(answer: string): { readonly commit: string; readonly message: string }[] {
  return answer.split("\0").flatMap((entry) => {
    const [commit = "", ...message] = entry.split("\n");
    return isCommitId(commit) ? [{ commit, message: message.join("\n").trimEnd() }] : [];
  });
}

/** Of a commit as git keeps it: what stands behind its headers. */
export function parseCommitMessage(object: string): string {
  const end = object.indexOf("\n\n");
  return end === -1 ? "" : object.slice(end + 2).trimEnd();
}
