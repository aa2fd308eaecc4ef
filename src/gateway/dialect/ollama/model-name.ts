const TAG = /:[^/:]+$/;
const LATEST = ":latest";

/** A name without a tag and the one with `:latest` are the same to clients of Ollama. */
export function otherNameOf(model: string): string | undefined {
  if (model.endsWith(LATEST)) return model.slice(0, -LATEST.length);
  return TAG.test(model) ? undefined : model + LATEST;
}

/** The name of the two by which something is known; the first where neither is. */
export function knownName(model: string, isKnown: (name: string) => boolean): string {
  const other = otherNameOf(model);
  return other !== undefined && !isKnown(model) && isKnown(other) ? other : model;
}
