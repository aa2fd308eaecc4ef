/** Answers once for each thing that is asked about, and keeps the answer as long as the thing: things do not change. */
export function onceFor<Thing extends WeakKey, Answer extends object>(
  workOut: (thing: Thing) => Answer,
): (thing: Thing) => Answer {
  const answers = new WeakMap<Thing, Answer>();
  return (thing) => {
    const known = answers.get(thing);
    if (known !== undefined) return known;
    const answer = workOut(thing);
    answers.set(thing, answer);
    return answer;
  };
}
