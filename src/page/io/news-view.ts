import { h, type ComponentChild } from "preact";
import type { DatedNews } from "./fleet-feed.ts";

const TONE_WORDS = { good: "Good: ", bad: "Trouble: ", plain: "" };

export function NewsView({ news }: { readonly news: readonly DatedNews[] }): ComponentChild {
  return h(
    "section",
    { class: "card news", "aria-labelledby": "news" },
    h("div", { class: "card-head" }, h("h2", { id: "news" }, "Live events")),
    news.length === 0
      ? h("p", { class: "empty" }, "Nothing has changed since this page was opened.")
      : h(
          "div",
          { class: "log", role: "log", "aria-labelledby": "news", tabIndex: 0 },
          h(
            "ol",
            null,
            news.map((item) => h(NewsLine, { key: item.id, item })),
          ),
        ),
  );
}

function NewsLine({ item: { atMs, tone, subject, text } }: { readonly item: DatedNews }): ComponentChild {
  const at = new Date(atMs);
  return h(
    "li",
    { class: tone },
    h("time", { dateTime: at.toISOString() }, at.toLocaleTimeString([], { hour12: false })),
    h("span", null, h("span", { class: "unseen" }, TONE_WORDS[tone]), h("strong", null, subject), ` ${text}`),
  );
}
