/**
 * Several tokenizers cut text into words with regular expressions that recurse once per character of a word: a
 * word of some ten thousand letters, blanks or Chinese characters overflows the stack of the process. So such runs
 * are cut before they get there. No text that people write has one; where one is cut a token may end that
 * otherwise would not.
 */
const WINDOW = 4096;

const WHITE_SPACE = /\s/u;
/** What every one of those expressions ends a word at. */
const SEPARATOR = /[().,!?|\u{2026}\u{3002}\u{FF0C}\u{3001}\u{0964}\u{06D4}\u{060C}]/u;

type CharacterClass = "space" | "separator" | "word";

function classOf(character: string): CharacterClass {
  if (WHITE_SPACE.test(character)) return "space";
  return SEPARATOR.test(character) ? "separator" : "word";
}

/**
 * The text in parts with no run of 8,192 characters of one class in any: every run of that length holds one of
 * the windows that the text is looked at in, which is then cut at its end. Runs below 4,096 are never cut.
 */
export function cutLongRuns(text: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  for (let start = 0; start + WINDOW <= text.length; start += WINDOW) {
    if (!isOneRun(text, start)) continue;
    const end = start + WINDOW;
    const cut = isLowSurrogate(text.charCodeAt(end)) ? end - 1 : end;
    parts.push(text.slice(from, cut));
    from = cut;
  }
  parts.push(text.slice(from));
  return parts.filter((part) => part !== "");
}

function isOneRun(text: string, start: number): boolean {
  let first: CharacterClass | undefined;
  for (const character of text.slice(start, start + WINDOW)) {
    // Half of a character is cut off at an end of the window.
    if (character.length === 1 && isSurrogate(character.charCodeAt(0))) continue;
    const kind = classOf(character);
    first ??= kind;
    if (kind !== first) return false;
  }
  return true;
}

const isLowSurrogate = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff;
const isSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdfff;
