/**
 * Abilities of engines that are not ours, which cannot be tried with one token: an engine has those that its model
 * declares. `vision` and `audio` are parts of a conversation; the others have routes of their own.
 */
export const DECLARED_ABILITIES = ["vision", "audio", "speech", "transcription", "images"] as const;
export type DeclaredAbility = (typeof DECLARED_ABILITIES)[number];

export const isDeclaredAbility = (name: string): name is DeclaredAbility =>
  (DECLARED_ABILITIES as readonly string[]).includes(name);

/** What only such engines are asked: bodies may be forms, and answers sounds and pictures. They pass as they are. */
export const MEDIA_ROUTES: ReadonlyMap<string, DeclaredAbility> = new Map([
  ["/v1/audio/speech", "speech"],
  ["/v1/audio/transcriptions", "transcription"],
  ["/v1/audio/translations", "transcription"],
  ["/v1/images/generations", "images"],
  ["/v1/images/edits", "images"],
  ["/v1/images/variations", "images"],
]);
