import { paint } from "./paint.ts";

/** The last line of every failure: the command that explains its codes, each once, in the order in which they came. */
export const moreAbout = (codes: readonly string[], { colour }: { readonly colour: boolean }): string =>
  paint(`More: cortex explain ${[...new Set(codes)].join(" ")}`, "dim", colour);
