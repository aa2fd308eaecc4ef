import type { ControlText, ControlTexts } from "./control-texts.ts";
import type { RestoredText } from "./request-marks.ts";

/** A part of a prompt, and whether control texts in it are control tokens. */
export interface PromptPiece {
  readonly text: string;
  readonly control: boolean;
}

interface PlacedControl {
  readonly start: number;
  readonly end: number;
  readonly control: ControlText;
}

/** The control texts that the template wrote, in their order. */
export function templateControls(prompt: RestoredText, controls: ControlTexts): readonly PlacedControl[] {
  const fromRequest = new Set(prompt.marked);
  const placed: PlacedControl[] = [];
  let at = controls.nextCandidate(prompt.text, 0);
  while (at >= 0) {
    const control = fromRequest.has(at) ? undefined : controls.at(prompt.text, at);
    if (control !== undefined) placed.push({ start: at, end: at + control.text.length, control });
    at = controls.nextCandidate(prompt.text, control === undefined ? at + 1 : at + control.text.length);
  }
  return placed;
}

/**
 * The prompt in parts, such that a control text of the request lies in a part that is read as text. A part that is
 * text reaches from one control text of the template to the next, because that is how a tokenizer cuts the prompt
 * itself: all other tokens stay as they are. A prompt without such texts is one part.
 */
export function promptPieces(prompt: RestoredText, controls: ControlTexts): readonly PromptPiece[] {
  const forged = prompt.marked.filter((at) => controls.at(prompt.text, at) !== undefined);
  if (forged.length === 0) return prompt.text === "" ? [] : [{ text: prompt.text, control: true }];
  const fences = templateControls(prompt, controls);
  const pieces: PromptPiece[] = [];
  let from = 0;
  let fence = 0;
  for (const at of forged) {
    if (at < from) continue;
    while ((fences[fence]?.end ?? Infinity) <= at) fence += 1;
    const before = fences[fence - 1];
    const after = fences[fence];
    const start = Math.max(from, before?.end ?? 0);
    const end = after?.start ?? prompt.text.length;
    pieces.push({ text: prompt.text.slice(from, start), control: true });
    pieces.push({ text: betweenFences(prompt.text.slice(start, end), before, after), control: false });
    from = end;
  }
  pieces.push({ text: prompt.text.slice(from), control: true });
  return pieces.filter((piece) => piece.text !== "");
}

/** Every control text of the template as a part of its own, and what lies between them as text. */
export function fencedPieces(prompt: RestoredText, controls: ControlTexts): readonly PromptPiece[] {
  const fences = templateControls(prompt, controls);
  const pieces: PromptPiece[] = [];
  let from = 0;
  for (const [index, fence] of fences.entries()) {
    const before = fences[index - 1];
    pieces.push({ text: betweenFences(prompt.text.slice(from, fence.start), before, fence), control: false });
    pieces.push({ text: fence.control.text, control: true });
    from = fence.end;
  }
  pieces.push({ text: betweenFences(prompt.text.slice(from), fences.at(-1), undefined), control: false });
  return pieces.filter((piece) => piece.text !== "");
}

function betweenFences(
  text: string,
  before: PlacedControl | undefined,
  after: PlacedControl | undefined,
): string {
  const started = before?.control.eatsAfter === true ? text.trimStart() : text;
  return after?.control.eatsBefore === true ? started.trimEnd() : started;
}
