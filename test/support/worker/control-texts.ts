import { createControlTexts, type ControlTexts } from "../../../src/worker/engine/control-texts.ts";

/** Control texts that eat no white space. */
export const controlsOf = (texts: readonly string[]): ControlTexts =>
  createControlTexts(texts.map((text) => ({ text, eatsBefore: false, eatsAfter: false })));
