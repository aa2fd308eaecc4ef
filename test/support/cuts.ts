import fc from "fast-check";

/** A text cut into pieces at arbitrary places, empty pieces included. */
export const cutText = (text: fc.Arbitrary<string>): fc.Arbitrary<readonly string[]> =>
  fc.tuple(text, fc.array(fc.nat(), { maxLength: 12 })).map(([whole, places]) => {
    const cuts = places.map((place) => place % (whole.length + 1)).sort((a, b) => a - b);
    return [0, ...cuts].map((start, index) => whole.slice(start, cuts[index] ?? whole.length));
  });
