const WORDS =
  "time year people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city".split(
    " ",
  );

/** Prompts of `words` words that differ from the first word on, so that no cache helps; the same in every run. */
export function promptsOf(count: number, words: number, seed: number): readonly string[] {
  const random = randomFrom(seed);
  const word = (): string => WORDS[Math.floor(random() * WORDS.length)] ?? "";
  return Array.from({ length: count }, () => Array.from({ length: words }, word).join(" "));
}

/** Numbers from 0 to 1 that look like chance, and are the same in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
