import { createControlTexts, type ControlText, type ControlTexts } from "../control-texts.ts";
import { TOKEN_MARKS, type Vocabulary } from "./llama-vocabulary.ts";

const IS_CONTROL = TOKEN_MARKS.control | TOKEN_MARKS.unknown;

/**
 * The texts that llama.cpp reads as control tokens when it is told to. Asked of the loaded model and not of its
 * file: llama.cpp makes control tokens of some that the file calls normal.
 */
export function readControlTexts(vocabulary: Vocabulary): ControlTexts {
  const texts: ControlText[] = [];
  for (let token = 0; token < vocabulary.size; token += 1) {
    const marks = vocabulary.marksOf(token);
    if ((marks & IS_CONTROL) === 0) continue;
    texts.push({
      text: vocabulary.textOf(token),
      eatsBefore: (marks & TOKEN_MARKS.eatsBefore) !== 0,
      eatsAfter: (marks & TOKEN_MARKS.eatsAfter) !== 0,
    });
  }
  return createControlTexts(texts);
}
