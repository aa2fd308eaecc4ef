import type { Plugin } from "rolldown";

const BEYOND = /[^\0-\x7f]/g;
/** Where its number would not be read as the letter: behind a backslash, and in a text that is taken raw. */
const OTHERWISE_READ = /(?<!\\)(?:\\\\)*\\[^\0-\x7f]|\braw`[^`]*[^\0-\x7f]/;

/**
 * V8 keeps a source as long as one of its functions lives: in one byte a letter, or in two where a single letter does not
 * fit into one. With numbers for those few a gateway's heap has 1.5 MiB less. Letters of Latin-1 would fit, but Node reads a file that
 * has one of them in two bytes a letter; a worker, with the engine's spinners and names, has another 1.5 MiB less without them.
 */
export function oneByteSources(): Plugin {
  return {
    name: "one-byte-sources",
    // Once all is printed: the printer writes letters as they are.
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) if (file.type === "chunk") file.code = inOneByte(file.code);
    },
  };
}

/** The same program with numbers for letters beyond ASCII. Throws where a number would not be read as the letter. */
export function inOneByte(code: string): string {
  const [otherwise] = OTHERWISE_READ.exec(code) ?? [];
  if (otherwise !== undefined) throw new Error(`a letter beyond ASCII has to stay as it is in: ${otherwise}`);
  // A sign of two halves becomes two numbers, which strings, templates and regular expressions take for one sign.
  return code.replaceAll(BEYOND, (half) => `\\u${half.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
