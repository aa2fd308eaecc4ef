/**
 * A command as its words: quotes and backslashes as a shell reads them, lines joined, comment lines left out. Nothing
 * is expanded. An unclosed quote ends with the text.
 */
export function shellWords(command: string): string[] {
  const text = command
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .replaceAll(/\\\r?\n/g, " ");
  const words: string[] = [];
  const part = /\s+|'([^']*)'?|"((?:\\.|[^"\\])*)"?|\\(.)|([^\s'"\\]+)|\\$/gs;
  let word: string | undefined;
  for (const [all, single, double, escaped, plain] of text.matchAll(part)) {
    if (/^\s/.test(all)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    const content = single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? plain ?? "";
    word = (word ?? "") + content;
  }
  return word === undefined ? words : [...words, word];
}
