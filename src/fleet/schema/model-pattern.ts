/**
 * Whether an id matches a pattern of a key: `*` stands for any characters (a slash too), `?` for one. Never
 * exponential, as a regular expression can be: a pattern from a file must not stall the gateway.
 */
export function matchesPattern(pattern: string, id: string): boolean {
  let inPattern = 0;
  let inId = 0;
  let star = -1;
  let resumeAt = 0;
  while (inId < id.length) {
    const wanted = pattern[inPattern];
    if (wanted === "*") {
      star = inPattern;
      resumeAt = inId;
      inPattern += 1;
    } else if (wanted === "?" || wanted === id[inId]) {
      inPattern += 1;
      inId += 1;
    } else if (star !== -1) {
      // The last star takes one character more; earlier stars never need to be tried again.
      inPattern = star + 1;
      resumeAt += 1;
      inId = resumeAt;
    } else return false;
  }
  while (pattern[inPattern] === "*") inPattern += 1;
  return inPattern === pattern.length;
}
