import { glyphs, spanLine, type FrameLook } from "./frame-look.ts";

const helpOf = (look: FrameLook): readonly (readonly [key: string, does: string] | string)[] => {
  const { up, enter, sides } = glyphs(look);
  return [
    "Moving",
    [`${up}, j k`, "a row up or down; also page keys, g and G"],
    [`tab, ${sides}, 1 2 3 4`, "neurons, models, requests, events"],
    [enter, "open the neuron or model; see where the request went"],
    ["esc", "back; in the panes: no filter, no zoom"],
    ["z", "this pane alone, or all of them"],
    ["/", "only rows with these words: name, state, neuron, why"],
    ["s, S", "another order; the other way round"],
    "Asking",
    ["p", "what cortex plan says of the files that --config names"],
    ["w", "why a model is where it is, and what would help"],
    "Changing by hand, after a y: drift until the next apply or reconcile",
    ["d", "drain a neuron, or let it take work again"],
    ["l", `load a model; ${sides} chooses where, most room first`],
    ["u", `unload a copy when its work is done; ${sides} chooses`],
    "Leaving",
    ["q, Ctrl-C", "the fleet goes on as it is"],
  ];
};

export const helpLines = (look: FrameLook): string[] =>
  helpOf(look).flatMap((line) =>
    typeof line === "string"
      ? ["", spanLine([{ text: ` ${line}`, style: "bold" }], look.columns, look)]
      : [
          spanLine(
            [{ text: `  ${line[0].padEnd(22)}`, style: "cyan" }, { text: line[1] }],
            look.columns,
            look,
          ),
        ],
  );
