/** What the page shows at a time, by the part of its address that no server sees. */
const PLACES = ["fleet", "usage", "chat"] as const;
export type Place = (typeof PLACES)[number];

export const placeOf = (hash: string): Place => PLACES.find((place) => `#${place}` === hash) ?? "fleet";
