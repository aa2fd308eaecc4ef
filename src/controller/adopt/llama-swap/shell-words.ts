/**
 * A command as its words: quotes and backslashes as a shell reads them, lines joined, comment lines left out. Nothing
 * is expanded. An unclosed quote ends with the text. In a command of Windows (it names a drive, a share or an .exe), a
 * backslash is a part of a path.
 */
export function shellWords(command: string): string[] {
  const text = command
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .replaceAll(/\\\r?\n/g, " ");
  const isWindows = WINDOWS.test(text);
  const words: string[] = [];
  const part = /\s+|'([^']*)'?|"((?:\\.|[^"\\])*)"?|\\(.)|([^\s'"\\]+)|\\$/gs;
  let word: string | undefined;
  for (const match of text.matchAll(part)) {
    if (/^\s/.test(match[0])) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word = (word ?? "") + contentOf(match, isWindows);
  }
  return word === undefined ? words : [...words, word];
}

function contentOf(match: RegExpExecArray, isWindows: boolean): string {
  const [all, single, double, escaped, plain] = match;
  const quoted = double?.replaceAll(isWindows ? /\\(")/g : /\\(["\\$`])/g, "$1");
  const kept = isWindows && !/["']/.test(escaped ?? "") ? all : escaped;
  return single ?? quoted ?? plain ?? kept ?? "";
}

const WINDOWS = /(?:^|[\s"'=])(?:[A-Za-z]:\\|\\\\\w|\.{1,2}\\)|\.exe\b/i;
