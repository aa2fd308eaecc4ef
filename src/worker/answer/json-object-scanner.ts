/**
 * Reads one JSON object character by character and says at once when it is complete or can no longer become
 * valid. A pushdown automaton over RFC 8259; used to stream a tool call's arguments while they are written.
 */
type ScanState = "more" | "done" | "invalid";

export interface JsonObjectScanner {
  push(character: string): ScanState;
}

type Expect =
  | "start"
  | "value"
  | "value_or_end"
  | "key"
  | "key_or_end"
  | "colon"
  | "comma_or_end"
  | "string"
  | "escape"
  | "hex"
  | "number"
  | "literal";

const WHITE_SPACE = new Set([" ", "\n", "\r", "\t"]);
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LITERALS = new Map([
  ["t", "rue"],
  ["f", "alse"],
  ["n", "ull"],
]);

class Scanner implements JsonObjectScanner {
  #expect: Expect = "start";
  #open: ("{" | "[")[] = [];
  #stringIsKey = false;
  #hexLeft = 0;
  /** The rest of a literal, or the number read so far. */
  #word = "";

  push(character: string): ScanState {
    const expect = this.#expect;
    if (expect === "string") return this.#inString(character);
    if (expect === "escape") return this.#inEscape(character);
    if (expect === "hex") return this.#inHex(character);
    if (expect === "literal") return this.#inLiteral(character);
    if (expect === "number") return this.#inNumber(character);
    return WHITE_SPACE.has(character) ? "more" : this.#structure(character);
  }

  #to(expect: Expect): ScanState {
    this.#expect = expect;
    return "more";
  }

  #structure(character: string): ScanState {
    const expect = this.#expect;
    if (expect === "start") return character === "{" ? this.#enter("{") : "invalid";
    if (expect === "colon") return character === ":" ? this.#to("value") : "invalid";
    if (expect === "comma_or_end") return this.#afterValue(character);
    if (expect === "key") return this.#key(character);
    if (expect === "key_or_end") return character === "}" ? this.#leave() : this.#key(character);
    if (expect === "value_or_end" && character === "]") return this.#leave();
    return this.#value(character);
  }

  #enter(bracket: "{" | "["): ScanState {
    this.#open.push(bracket);
    return this.#to(bracket === "{" ? "key_or_end" : "value_or_end");
  }

  #leave(): ScanState {
    this.#open.pop();
    this.#expect = "comma_or_end";
    return this.#open.length === 0 ? "done" : "more";
  }

  #key(character: string): ScanState {
    if (character !== '"') return "invalid";
    this.#stringIsKey = true;
    return this.#to("string");
  }

  #value(character: string): ScanState {
    if (character === "{" || character === "[") return this.#enter(character);
    if (character === '"') {
      this.#stringIsKey = false;
      return this.#to("string");
    }
    const literal = LITERALS.get(character);
    if (literal !== undefined) {
      this.#word = literal;
      return this.#to("literal");
    }
    if (!/[-0-9]/.test(character)) return "invalid";
    this.#word = character;
    return this.#to("number");
  }

  #afterValue(character: string): ScanState {
    const bracket = this.#open.at(-1);
    if (character === ",") return this.#to(bracket === "{" ? "key" : "value");
    if ((bracket === "{" && character === "}") || (bracket === "[" && character === "]"))
      return this.#leave();
    return "invalid";
  }

  #inString(character: string): ScanState {
    if (character === '"') return this.#to(this.#stringIsKey ? "colon" : "comma_or_end");
    if (character === "\\") return this.#to("escape");
    return character < " " ? "invalid" : "more";
  }

  #inEscape(character: string): ScanState {
    if (character === "u") {
      this.#hexLeft = 4;
      return this.#to("hex");
    }
    return '"\\/bfnrt'.includes(character) ? this.#to("string") : "invalid";
  }

  #inHex(character: string): ScanState {
    if (!/[0-9a-fA-F]/.test(character)) return "invalid";
    this.#hexLeft -= 1;
    return this.#hexLeft === 0 ? this.#to("string") : "more";
  }

  #inLiteral(character: string): ScanState {
    if (character !== this.#word[0]) return "invalid";
    this.#word = this.#word.slice(1);
    return this.#word === "" ? this.#to("comma_or_end") : "more";
  }

  #inNumber(character: string): ScanState {
    if (/[-+.0-9eE]/.test(character)) {
      this.#word += character;
      return "more";
    }
    if (!NUMBER.test(this.#word)) return "invalid";
    this.#expect = "comma_or_end";
    return this.push(character);
  }
}

export const createJsonObjectScanner = (): JsonObjectScanner => new Scanner();
