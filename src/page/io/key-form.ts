import { h, type ComponentChild } from "preact";
import { useState } from "preact/hooks";

interface KeyProps {
  readonly hasKey: boolean;
  /** What the gateway says of the key that is in use, or of none. */
  readonly problem: string | null;
  readonly onUse: (key: string) => void;
}

export function KeyForm({ hasKey, problem, onUse }: KeyProps): ComponentChild {
  const [text, setText] = useState("");
  return h(
    "section",
    { class: "card key", "aria-labelledby": "key-title" },
    h("h2", { id: "key-title" }, hasKey ? "Another key" : "A key of this fleet"),
    problem === null ? null : h("p", { class: "problem", role: "alert" }, problem),
    h(
      "form",
      {
        onSubmit: (event: Event) => {
          event.preventDefault();
          onUse(text.trim());
        },
      },
      h("label", { for: "key" }, "Key"),
      h("input", {
        id: "key",
        type: "password",
        autoComplete: "off",
        spellcheck: false,
        value: text,
        "aria-describedby": "key-note",
        onInput: (event: Event) => {
          setText((event.currentTarget as HTMLInputElement).value);
        },
      }),
      h("button", { type: "submit", class: "main" }, "Use it"),
      hasKey
        ? h(
            "button",
            {
              type: "button",
              onClick: () => {
                onUse("");
              },
            },
            "Forget the key",
          )
        : null,
    ),
    h(
      "p",
      { id: "key-note", class: "note" },
      "It is kept in this tab alone and sent to this gateway only. A key with the admin role sees the fleet and its usage; any other may chat.",
    ),
  );
}
