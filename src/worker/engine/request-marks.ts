import { isRecord } from "../../core/json.ts";
import type { ControlTexts } from "./control-texts.ts";

/**
 * Marks, in what a request brings, the characters with which a control text could begin, so that the rendered
 * prompt shows which of its control texts the template wrote and which the request did.
 *
 * The mark is a stand-in for the one character: a private-use character that neither request nor template holds.
 * Lengths, slices, trimming, splitting and joining are the same with it; what is not the same is a template that
 * looks for a control text in what it is given, which the caller finds out by comparing.
 */
export interface RequestMarks {
  /** The value with every string in it marked, keys included; the same value when nothing was marked. */
  mark(value: unknown, reach: MarkReach): unknown;
  /** Puts the characters back and tells where they stand. */
  restore(rendered: string): RestoredText;
}

/**
 * "anything" marks whatever could be the beginning of a control text, however the template cuts and joins it;
 * "whole" marks only whole control texts and broken-off ones at the end of a string.
 */
export type MarkReach = "anything" | "whole";

export interface RestoredText {
  readonly text: string;
  /** Offsets of characters that came from the request and could begin a control text; ascending. */
  readonly marked: readonly number[];
}

const FIRST_PRIVATE = 0xe000;
const LAST_PRIVATE = 0xf8ff;

/** `taken` are texts whose private-use characters must not be used. */
export function createRequestMarks(
  controls: ControlTexts,
  taken: (character: string) => boolean,
): RequestMarks {
  const standIns = new Map<string, string>();
  const originals = new Map<string, string>();
  let next = FIRST_PRIVATE;

  const standInFor = (character: string): string => {
    const known = standIns.get(character);
    if (known !== undefined) return known;
    while (next < LAST_PRIVATE && taken(String.fromCharCode(next))) next += 1;
    const standIn = String.fromCharCode(next);
    next += 1;
    standIns.set(character, standIn);
    originals.set(standIn, character);
    return standIn;
  };

  const markText = (text: string, reach: MarkReach): string => {
    let marked = "";
    let copied = 0;
    for (let at = controls.nextCandidate(text, 0); at >= 0; at = controls.nextCandidate(text, at + 1)) {
      const begins =
        reach === "anything"
          ? controls.mayBeginAt(text, at)
          : controls.at(text, at) !== undefined || controls.breaksOffAt(text, at);
      if (!begins) continue;
      marked += text.slice(copied, at) + standInFor(text.charAt(at));
      copied = at + 1;
    }
    return copied === 0 ? text : marked + text.slice(copied);
  };

  const mark = (value: unknown, reach: MarkReach): unknown => {
    if (typeof value === "string") return markText(value, reach);
    if (Array.isArray(value)) {
      const items: readonly unknown[] = value;
      const marked = items.map((item) => mark(item, reach));
      return marked.some((item, index) => item !== items[index]) ? marked : value;
    }
    if (!isRecord(value)) return value;
    const entries = Object.entries(value);
    const marked = entries.map(([key, item]): [string, unknown] => [markText(key, reach), mark(item, reach)]);
    const changed = marked.some(
      ([key, item], index) => key !== entries[index]?.[0] || item !== entries[index]?.[1],
    );
    return changed ? Object.fromEntries(marked) : value;
  };

  return { mark, restore: (rendered) => restoreText(rendered, originals) };
}

function restoreText(rendered: string, originals: ReadonlyMap<string, string>): RestoredText {
  const marked: number[] = [];
  let text = "";
  let copied = 0;
  for (const found of rendered.matchAll(standInPattern(originals))) {
    text += rendered.slice(copied, found.index);
    marked.push(text.length);
    const escaped = found[1];
    const standIn = escaped === undefined ? found[0] : String.fromCharCode(Number.parseInt(escaped, 16));
    text += originals.get(standIn) ?? standIn;
    copied = found.index + found[0].length;
  }
  return { text: text + rendered.slice(copied), marked };
}

/** The stand-ins, also as JSON writes them when it is told to keep to ASCII. */
function standInPattern(originals: ReadonlyMap<string, string>): RegExp {
  const characters = [...originals.keys()];
  if (characters.length === 0) return /(?!)/g;
  const escapes = characters.map((character) => character.charCodeAt(0).toString(16));
  return new RegExp(String.raw`[${characters.join("")}]|\\u(${escapes.join("|")})`, "g");
}
