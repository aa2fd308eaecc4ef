import { h, type ComponentChild } from "preact";
import { useState } from "preact/hooks";
import type { Place } from "./places.ts";
import type { FleetSight } from "./fleet-feed.ts";
import { nextTheme, rememberedTheme, wearTheme, type Theme } from "./settings.ts";

interface HeadProps {
  readonly sight: FleetSight;
  readonly place: Place;
  readonly hasKey: boolean;
  readonly isKeyAsked: boolean;
  readonly onAskKey: () => void;
}

const LABELS: Readonly<Record<Place, string>> = { fleet: "Fleet", usage: "Usage", chat: "Chat" };

const THEME_WORDS: Readonly<Record<Theme, string>> = { system: "◐ Auto", light: "☀ Light", dark: "☾ Dark" };

export function PageHead({ sight, place, hasKey, isKeyAsked, onAskKey }: HeadProps): ComponentChild {
  const [theme, setTheme] = useState(rememberedTheme);
  const links = (Object.keys(LABELS) as Place[]).map((to) =>
    h("a", { href: `#${to}`, "aria-current": to === place ? "page" : undefined }, LABELS[to]),
  );
  return h(
    "header",
    { class: "head" },
    h("a", { class: "skip", href: "#main" }, "Skip to the content"),
    h(
      "div",
      { class: "brand" },
      h("img", { src: "ui/icon.svg", alt: "", width: 28, height: 28 }),
      h("h1", null, "cortex", h("span", { class: "fleet-name" }, sight.state?.fleet ?? "")),
    ),
    h("nav", { "aria-label": "Places" }, links),
    h(
      "div",
      { class: "tools" },
      h(Connection, { sight }),
      h(
        "button",
        { type: "button", class: "quiet", "aria-expanded": isKeyAsked, onClick: onAskKey },
        hasKey ? "Key ✓" : "Key",
      ),
      h(
        "button",
        {
          type: "button",
          class: "quiet",
          onClick: () => {
            const next = nextTheme(theme);
            wearTheme(next);
            setTheme(next);
          },
        },
        THEME_WORDS[theme],
        h("span", { class: "unseen" }, " theme"),
      ),
    ),
  );
}

function Connection({ sight: { standing } }: { readonly sight: FleetSight }): ComponentChild {
  const words = {
    connecting: "Connecting",
    live: "Live",
    lost: "Connection lost, trying again",
    refused: "Not following",
  }[standing.kind];
  const why = standing.kind === "lost" || standing.kind === "refused" ? standing.problem : "";
  return h(
    "p",
    { class: `connection ${standing.kind}`, role: "status", title: why },
    h("span", { class: "dot", "aria-hidden": "true" }),
    words,
  );
}
