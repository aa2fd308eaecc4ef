/**
 * The texts that a model's tokenizer reads as control tokens. A request must never be able to write one: what a
 * user, a tool or a document says is text, whatever it looks like.
 */
export interface ControlText {
  readonly text: string;
  /** White space before or after the token belongs to it and vanishes. */
  readonly eatsBefore: boolean;
  readonly eatsAfter: boolean;
}

export interface ControlTexts {
  /** The longest control text that starts at this place. */
  at(text: string, index: number): ControlText | undefined;
  /** The two characters at this place begin a control text, or the last one of the text could. */
  mayBeginAt(text: string, index: number): boolean;
  /** The text ends here in the middle of a control text. */
  breaksOffAt(text: string, index: number): boolean;
  /** First place from `from` on where any control text could begin; -1 when there is none. */
  nextCandidate(text: string, from: number): number;
}

interface Family {
  /** By length, longest first. */
  readonly lengths: readonly number[];
  readonly texts: ReadonlyMap<string, ControlText>;
  readonly secondCharacters: ReadonlySet<string>;
}

const HAS_SPECIAL_MEANING = /[\\\]^-]/g;

export function createControlTexts(controls: readonly ControlText[]): ControlTexts {
  const families = familiesByFirstCharacter(controls.filter((control) => control.text !== ""));
  const firstCharacters = [...families.keys()].map((first) =>
    first.replace(HAS_SPECIAL_MEANING, String.raw`\$&`),
  );
  const candidate = families.size === 0 ? undefined : new RegExp(`[${firstCharacters.join("")}]`, "g");
  const familyAt = (text: string, index: number): Family | undefined => families.get(text.charAt(index));

  return {
    at(text, index) {
      const family = familyAt(text, index);
      const length = family?.lengths.find((wanted) => family.texts.has(text.slice(index, index + wanted)));
      return length === undefined ? undefined : family?.texts.get(text.slice(index, index + length));
    },
    mayBeginAt(text, index) {
      const family = familyAt(text, index);
      if (family === undefined) return false;
      return (
        index + 1 === text.length ||
        family.lengths.at(-1) === 1 ||
        family.secondCharacters.has(text.charAt(index + 1))
      );
    },
    breaksOffAt(text, index) {
      const family = familyAt(text, index);
      if (family === undefined || text.length - index >= (family.lengths[0] ?? 0)) return false;
      const rest = text.slice(index);
      return [...family.texts.keys()].some((control) => control.startsWith(rest));
    },
    nextCandidate(text, from) {
      if (candidate === undefined) return -1;
      candidate.lastIndex = from;
      return candidate.exec(text)?.index ?? -1;
    },
  };
}

function familiesByFirstCharacter(controls: readonly ControlText[]): ReadonlyMap<string, Family> {
  const firsts = new Set(controls.map((control) => control.text.charAt(0)));
  return new Map(
    [...firsts].map((first) => {
      const members = controls.filter((control) => control.text.startsWith(first));
      const lengths = [...new Set(members.map((member) => member.text.length))].toSorted((a, b) => b - a);
      const texts = new Map(members.map((member) => [member.text, member]));
      return [
        first,
        { lengths, texts, secondCharacters: new Set(members.map((member) => member.text.charAt(1))) },
      ];
    }),
  );
}
