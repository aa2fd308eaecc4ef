import { assertNever } from "../../core/assert-never.ts";
import { edgedLine, glyphs, spanLine, type FrameLook, type Span } from "./frame-look.ts";
import { changeText, type Prompt, type TopState } from "./top-state.ts";

/** A question that waits for an answer, what was just said, or the keys. */
export function footerLine(state: TopState, look: FrameLook): string {
  const { prompt, notice } = state;
  if (prompt !== null) return promptLine(prompt, look);
  if (notice !== null) {
    const style = notice.tone === "bad" ? "red" : notice.tone === "good" ? "green" : "yellow";
    return spanLine([{ text: ` ${notice.text}`, style }], look.columns, look);
  }
  return keyLine(state, look);
}

function promptLine(prompt: Prompt, look: FrameLook): string {
  if (prompt.kind === "filter") {
    const typed: Span = { text: ` filter: ${prompt.text}_`, style: "bold" };
    return edgedLine([typed], [[{ text: "enter keeps it, esc clears it", style: "dim" }]], look);
  }
  const { changes, chosen } = prompt;
  const change = changes[chosen];
  const what = change === undefined ? "" : changeText(change);
  const others = changes.length < 2 ? "" : `  ${glyphs(look).sides} ${chosen + 1}/${changes.length}`;
  const question: Span[] = [
    { text: ` ${what}?`, style: "bold" },
    { text: others, style: "cyan" },
    { text: "  drift: by hand", style: "yellow" },
    { text: "  y yes, else no", style: "cyan" },
  ];
  return edgedLine(question, [[{ text: "the next apply or reconcile puts it right", style: "dim" }]], look);
}

type KeyHint = readonly [key: string, does: string];

const OWN_KEYS: Readonly<Record<TopState["focus"], readonly KeyHint[]>> = {
  neurons: [
    ["d", "drain"],
    ["u", "unload"],
  ],
  models: [
    ["w", "why"],
    ["l", "load"],
    ["u", "unload"],
  ],
  requests: [],
  events: [],
};

/** Those that matter most first: a narrow terminal cuts the others. */
function keysOf({ pages, focus }: TopState, look: FrameLook): readonly KeyHint[] {
  const { up, enter } = glyphs(look);
  const page = pages.at(-1);
  const help: KeyHint = ["?", "help"];
  const rest: readonly KeyHint[] = [
    ["p", "plan"],
    ["q", "quit"],
  ];
  const back: KeyHint = ["esc", "back"];
  if (page === undefined) {
    const panes: readonly KeyHint[] = [
      [enter, "open"],
      ["tab", "pane"],
      ["/", "filter"],
      ["s", "sort"],
    ];
    return [help, [up, "move"], ...panes, ...OWN_KEYS[focus], ...rest];
  }
  switch (page.kind) {
    case "text":
      return [help, back, [up, "scroll"], ["r", "again"], ...rest];
    case "neuron":
      return [help, back, ...OWN_KEYS.neurons, ...rest];
    case "model":
      return [help, back, ...OWN_KEYS.models, ...rest];
    case "help":
      return [back, [up, "scroll"], ["q", "quit"]];
    default:
      return assertNever(page);
  }
}

const keyLine = (state: TopState, look: FrameLook): string =>
  spanLine(
    keysOf(state, look).flatMap(([key, does]): Span[] => [
      { text: ` ${key}`, style: "cyan" },
      { text: ` ${does} `, style: "dim" },
    ]),
    look.columns,
    look,
  );
