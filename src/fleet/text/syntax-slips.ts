import { readQuantity } from "./quantity-slips.ts";
import { tomlValue } from "./toml-value.ts";

/** Where the parser stopped. */
export interface SyntaxStop {
  /** The parser's own words. */
  readonly said: string;
  readonly sourceLine: string;
  /** The line up to that place, and from it on. */
  readonly before: string;
  readonly rest: string;
}

export interface Explanation {
  readonly message: string;
  readonly help: string;
  /** Characters that the finding is about. */
  readonly length?: number;
}

/**
 * What a person who does not know the parser makes of it; undefined when the parser's words must do. The text at the
 * place of the error is looked at first: it stays what it is when the parser words its errors anew.
 */
export function explainSyntax(stop: SyntaxStop): Explanation | undefined {
  return (
    explainLine(stop) ??
    explainPlace(stop) ??
    BY_WORDS.find(({ words }) => stop.said.includes(words))?.explain(stop)
  );
}

/** Slips that show in the line whatever the parser said about them. */
function explainLine({ sourceLine, before, rest, said }: SyntaxStop): Explanation | undefined {
  if (/^(?:<{7}|={7}|>{7}|\|{7})/.test(sourceLine)) {
    return {
      message: "a merge conflict is left in the file",
      help: "keep one side, and remove the lines <<<<<<<, ======= and >>>>>>>",
      length: sourceLine.length,
    };
  }
  if (/^[\u2018-\u201F\u00AB\u00BB]/.test(rest)) {
    return {
      message: `\`${rest.charAt(0)}\` is not a quotation mark in TOML`,
      help: 'write straight quotes: "',
    };
  }
  if (/^\s*(?:\/\/|\/\*|;|--)/.test(sourceLine) && before.trim() === "") {
    return { message: "this is not a TOML comment", help: "start it with #", length: rest.length };
  }
  // The parser's own words for a missing quote are about the line break that it met instead.
  if (said.startsWith("control characters") && rest === "") return OPEN_STRING;
  return undefined;
}

/** Slips that show in the characters on both sides of the place where the parser stopped. */
function explainPlace(stop: SyntaxStop): Explanation | undefined {
  const { before, rest } = stop;
  if (VALUE_STARTS.test(before) && !MAY_BE_A_VALUE.test(rest)) return noValue(stop);
  if (ESCAPE_STARTS.test(before) && !CODE_ESCAPE.test(rest)) return noEscape(stop);
  return undefined;
}

/** Behind an equals sign, or behind the first bracket of a list. */
const VALUE_STARTS = /=\s*(?:\[\s*)?$/;
/** Numbers, dates, quotes and brackets begin a value; what is wrong in one of them the parser knows better. */
const MAY_BE_A_VALUE = /^[\d+\-.'"[{]/;
/** An odd number of backslashes: the last one escapes what follows. */
const ESCAPE_STARTS = /(?<!\\)(?:\\\\)*\\$/;
const CODE_ESCAPE = /^(?:[uUx]|$)/;

const OPEN_STRING: Explanation = {
  message: "the string is not closed on its line",
  help: "close the quote, or write a long string in three quotes",
};

const OPEN_STRUCTURE: Explanation = {
  message: "a list or an inline table is not closed",
  help: "close it with ] or }",
};

const OPEN_BLOCK_HEADER: Explanation = {
  message: "the header of the block is not closed",
  help: "close it with ]]",
};

const OPEN_TABLE_HEADER: Explanation = {
  message: "the header of the table is not closed",
  help: "close it with ]",
};

const ONE_SIGN: Explanation = {
  message: "put one equals sign between a key and its value",
  help: "write it like `replicas = 1`",
};

const MISPLACED_ESCAPE = "write the text in single quotes, where a backslash is only a backslash";

type Explain = (stop: SyntaxStop) => Explanation;

/**
 * What the text alone does not tell, by the words of the parser. smol-toml gives no codes, and is pinned exactly in
 * package.json; a test finds each of these words in its source, so that a new version cannot turn one off unseen.
 */
const BY_WORDS: readonly { readonly words: string; readonly explain: Explain }[] = [
  { words: "trying to redefine", explain: setTwice },
  { words: "invalid value", explain: noValue },
  { words: "illegal character in key", explain: noKey },
  { words: "illegal character in numeric literal", explain: noNumber },
  { words: "unfinished numeric value", explain: noNumber },
  {
    words: "illegal leading zero",
    explain: ({ rest }) => {
      const digits = /^[+-]?\d+/.exec(rest)?.[0] ?? "";
      return {
        message: "a number has no leading zeros",
        help: `write ${digits.replace(/^([+-]?)0+(?=\d)/, "$1")}`,
        length: digits.length,
      };
    },
  },
  {
    words: "must be followed by an end-of-line",
    explain: ({ rest }) => ({
      message: "something else follows on the line",
      help: "start a new line here, or put # in front of a remark",
      length: Math.max(1, rest.trimEnd().length),
    }),
  },
  { words: "expected comma", explain: openStructure },
  { words: "unfinished array", explain: () => OPEN_STRUCTURE },
  { words: "unfinished table", explain: () => OPEN_STRUCTURE },
  { words: "unfinished string", explain: () => ({ ...OPEN_STRING, message: "the string is not closed" }) },
  { words: "invalid date", explain: () => ({ message: "this is not a date", help: "put text in quotes" }) },
  {
    words: "unexpected end of key",
    explain: () => ({ message: "a name is missing here", help: "write the name of the key or of the table" }),
  },
  { words: "unrecognised escape sequence", explain: noEscape },
  {
    words: "unicode escape",
    explain: () => ({ message: "`\\u` needs four hexadecimal digits after it", help: MISPLACED_ESCAPE }),
  },
  { words: "expected end of table array declaration", explain: () => OPEN_BLOCK_HEADER },
  { words: "cannot find end of key", explain: openKey },
  {
    words: "unsafe property",
    explain: () => ({
      message: "`__proto__` and `constructor` cannot be names",
      help: "choose another name",
    }),
  },
  {
    words: "cannot be represented losslessly",
    explain: () => ({
      message: "the number is larger than any setting can be",
      help: "write a smaller number",
    }),
  },
];

/** The parser's words that are known here. */
export const KNOWN_WORDS: readonly string[] = BY_WORDS.map(({ words }) => words);

function noEscape({ rest }: SyntaxStop): Explanation {
  return {
    message: `\`\\${rest.charAt(0)}\` is not a valid escape`,
    help: MISPLACED_ESCAPE,
  };
}

function setTwice({ rest }: SyntaxStop): Explanation {
  const name = /^(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)/.exec(rest)?.[0] ?? "";
  return {
    message: name === "" ? "something is set twice" : `\`${name}\` is set twice in this file`,
    help: "keep one of the two: a key stands once in its table, and a table has one header",
    length: Math.max(1, name.length),
  };
}

/** The bare key in front of a value; its own name is enough for a suggestion. */
const keyBefore = (before: string): string => /([A-Za-z0-9_-]+)\s*=\s*$/.exec(before)?.[1] ?? "";

const TRUE_HELP = "write true, in lower case";
const FALSE_HELP = "write false, in lower case";
const NOTHING_HELP = "leave the key out: TOML has no word for nothing";

/** Words that other formats have, each with what to write. */
const WORDS: Readonly<Record<string, string>> = {
  true: TRUE_HELP,
  yes: TRUE_HELP,
  on: TRUE_HELP,
  false: FALSE_HELP,
  no: FALSE_HELP,
  off: FALSE_HELP,
  null: NOTHING_HELP,
  nil: NOTHING_HELP,
  none: NOTHING_HELP,
  undefined: NOTHING_HELP,
  "~": NOTHING_HELP,
};

function noValue(stop: SyntaxStop): Explanation {
  const { before, rest } = stop;
  if (/^\s*\[+$/.test(before)) return OPEN_STRUCTURE;
  if (/^\s*(?:#|$)/.test(rest)) {
    const key = keyBefore(before);
    const message = key === "" ? "a value is missing here" : `\`${key}\` has no value`;
    return { message, help: "write one behind the equals sign, or remove the line" };
  }
  if (/^[=>:]/.test(rest)) return ONE_SIGN;
  return /^\$\d/.test(rest) ? noNumber(stop) : bareWord(stop);
}

function bareWord({ before, rest }: SyntaxStop): Explanation {
  const word = /^[^\s,\]}#]+/.exec(rest)?.[0] ?? rest.charAt(0);
  const help = WORDS[word.toLowerCase()];
  if (help !== undefined) {
    return { message: `\`${word}\` is not a TOML value`, help, length: word.length };
  }
  if (word.startsWith("$")) {
    return {
      message: "variables are not filled in",
      help: "write the value itself; a machine overrides it with CORTEX_<TABLE>__<KEY> in its environment",
      length: word.length,
    };
  }
  const key = keyBefore(before);
  // Inside of a list or an inline table, only the word itself is the text.
  const isAlone = new RegExp(`^\\s*${key}\\s*=\\s*$`).test(before);
  const whole = isAlone ? (/^[^#]*/.exec(rest)?.[0] ?? word) : word;
  const text = whole.trim().replaceAll(/^['"]|['"]$/g, "");
  const written = key === "" ? tomlValue(text) : `${key} = ${tomlValue(text)}`;
  return { message: "text needs quotes", help: `write \`${written}\``, length: Math.max(1, text.length) };
}

function noKey({ sourceLine, before, rest }: SyntaxStop): Explanation {
  if (/^\s*\[/.test(sourceLine)) {
    const isBlock = /^\s*\[\s*\[/.test(sourceLine);
    const name = /[A-Za-z0-9_-]+/.exec(sourceLine)?.[0] ?? "name";
    return {
      message: "this is not a table header",
      help: `write ${isBlock ? `[[${name}]]` : `[${name}]`} alone on its line`,
    };
  }
  if (/^\s*[{}]/.test(sourceLine)) {
    return {
      message: "a TOML file has no braces around it",
      help: "write tables as [name] lines, and keys below them as name = value",
    };
  }
  const key = before.trim();
  if (rest.startsWith(":")) {
    const written = rest.trim() === ":" ? `[${key}]` : `${key} = ...`;
    return { message: "there is a colon where none belongs", help: `write \`${written}\`` };
  }
  if (/^[^\0-\u007F]/.test(rest)) {
    return { message: "letters beyond a to z need quotes in a name", help: "put the whole name in quotes" };
  }
  return noSign(key);
}

const noSign = (key: string): Explanation => ({
  message: "there is no equals sign after the name",
  help: `write \`${key === "" ? "name" : key} = value\``,
});

/** The file ends in a header or in a name. */
function openKey({ sourceLine, rest }: SyntaxStop): Explanation {
  if (/^\s*\[\s*\[/.test(sourceLine)) return OPEN_BLOCK_HEADER;
  if (/^\s*\[/.test(sourceLine)) return OPEN_TABLE_HEADER;
  return noSign(/^[A-Za-z0-9_-]+$/.exec(rest.trim())?.[0] ?? "");
}

function noNumber({ before, rest }: SyntaxStop): Explanation {
  const [, key = "", start = ""] = /([A-Za-z0-9_-]+)\s*=\s*([^\s=]*)$/.exec(before) ?? [];
  const [end = ""] = /^[^\s#\]}]*/.exec(rest) ?? [];
  const text = `${start}${end}`;
  const length = Math.max(1, end.length);
  if (/^[;,]$/.test(end))
    return { message: "nothing stands behind a value", help: `remove the \`${end}\``, length };
  const quantity = key === "" ? undefined : readQuantity([key], text.replace(/[;,]$/, ""));
  if (quantity !== undefined) {
    const help = `did you mean \`${key} = ${quantity.value}\`, ${quantity.how}?`;
    return { message: "write a number without a unit or commas", help, length };
  }
  const written = key === "" ? tomlValue(text) : `${key} = ${tomlValue(text)}`;
  return {
    message: `\`${text}\` is not a number`,
    help: `write digits alone, or text in quotes: \`${written}\``,
    length,
  };
}

function openStructure({ rest }: SyntaxStop): Explanation {
  if (rest === "" || rest.startsWith("[") || /^[A-Za-z0-9_-]+\s*=/.test(rest)) {
    return OPEN_STRUCTURE;
  }
  return {
    message: "a comma or the end of the list is expected here",
    help: "put a comma between two values",
  };
}
