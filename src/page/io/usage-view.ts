import { Fragment, h, type ComponentChild } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { UsageReport } from "../../protocol/gateway-api.ts";
import { USAGE_SPANS, usagePlot, type UsagePlot, type UsageQuestion, type UsageSpan } from "../usage-plot.ts";
import { countText, percentText } from "../words.ts";
import type { GatewayClient } from "./gateway-client.ts";

const AGAIN_MS = 15_000;
const MONTH_MS = USAGE_SPANS.month.ms + USAGE_SPANS.month.columnMs;

type Seen = { readonly report: UsageReport | null; readonly problem: string | null };

/** What was counted, asked again from time to time while it is looked at. */
function useUsage(client: GatewayClient): Seen {
  const [seen, setSeen] = useState<Seen>({ report: null, problem: null });
  useEffect(() => {
    let isGone = false;
    const look = async () => {
      try {
        const report = await client.usage(Date.now() - MONTH_MS);
        if (!isGone) setSeen({ report, problem: null });
      } catch (thrown) {
        const problem = thrown instanceof Error ? thrown.message : String(thrown);
        if (!isGone) setSeen((last) => ({ ...last, problem }));
      }
    };
    void look();
    const timer = setInterval(() => void look(), AGAIN_MS);
    return () => {
      isGone = true;
      clearInterval(timer);
    };
  }, [client]);
  return seen;
}

export function UsageView({ client }: { readonly client: GatewayClient }): ComponentChild {
  const { report, problem } = useUsage(client);
  const [asked, setAsked] = useState<UsageQuestion>({ span: "day", by: "model", measure: "tokens" });
  const change = (part: Partial<UsageQuestion>) => {
    setAsked({ ...asked, ...part });
  };
  return h(
    "div",
    { class: "usage" },
    h("h2", null, "Usage"),
    problem === null ? null : h("p", { class: "problem", role: "alert" }, problem),
    h(
      "div",
      { class: "choices" },
      choice("Span", spanOptions, { value: asked.span, onPick: (span) => change({ span }) }),
      choice("By", BY, { value: asked.by, onPick: (by) => change({ by }) }),
      choice("Count", MEASURES, { value: asked.measure, onPick: (measure) => change({ measure }) }),
    ),
    report === null ? null : h(UsageBody, { report, asked }),
  );
}

const spanOptions = (Object.keys(USAGE_SPANS) as UsageSpan[]).map(
  (span) => [span, USAGE_SPANS[span].label] as const,
);
const BY = [
  ["model", "Model"],
  ["key", "Key"],
] as const;
const MEASURES = [
  ["tokens", "Tokens"],
  ["requests", "Requests"],
] as const;

interface Picking<Value extends string> {
  readonly value: Value;
  readonly onPick: (value: Value) => void;
}

/** A row of radio buttons: arrows move between them, as everywhere. */
function choice<Value extends string>(
  legend: string,
  options: readonly (readonly [Value, string])[],
  { value, onPick }: Picking<Value>,
): ComponentChild {
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", null, legend),
    options.map(([option, label]) =>
      h(
        "label",
        { key: option },
        h("input", {
          type: "radio",
          name: legend,
          value: option,
          checked: option === value,
          onChange: () => {
            onPick(option);
          },
        }),
        h("span", null, label),
      ),
    ),
  );
}

function UsageBody({
  report,
  asked,
}: {
  readonly report: UsageReport;
  readonly asked: UsageQuestion;
}): ComponentChild {
  const plot = usagePlot(report, asked);
  const { totals } = plot;
  return h(
    Fragment,
    null,
    h(
      "div",
      { class: "figures" },
      total("Requests", totals.requests, totals.failed === 0 ? "none failed" : `${totals.failed} failed`),
      total("Prompt tokens", totals.promptTokens, cachedNote(totals)),
      total("Answer tokens", totals.completionTokens, `in ${USAGE_SPANS[asked.span].label}`),
    ),
    h(
      "section",
      { class: "card", "aria-labelledby": "usage-plot" },
      h(
        "div",
        { class: "card-head" },
        h(
          "h3",
          { id: "usage-plot" },
          `${asked.measure === "tokens" ? "Tokens" : "Requests"} by ${asked.by}, ${USAGE_SPANS[asked.span].label}`,
        ),
        h(
          "ul",
          { class: "legend" },
          plot.series.map(({ name, total: sum }, at) =>
            h(
              "li",
              { key: name },
              h("span", { class: `swatch series-${at}`, "aria-hidden": "true" }),
              `${name} ${countText(sum)}`,
            ),
          ),
        ),
      ),
      plot.series.length === 0
        ? h("p", { class: "empty" }, "Nothing was used in this time.")
        : h(Plot, { plot, asked }),
    ),
    report.keys.length === 0 ? null : h(KeyBudgets, { keys: report.keys }),
  );
}

const cachedNote = ({ cachedTokens, promptTokens }: UsagePlot["totals"]): string =>
  promptTokens === 0 ? "" : `${percentText(cachedTokens / promptTokens)} of them cached`;

const total = (label: string, value: number, note: string): ComponentChild =>
  h(
    "div",
    { class: "figure" },
    h("span", { class: "label" }, label),
    h("strong", null, countText(value)),
    h("span", { class: "note" }, note),
  );

const [WIDTH, HEIGHT] = [960, 240];

interface PlotProps {
  readonly plot: UsagePlot;
  readonly asked: UsageQuestion;
}

/** Bars for the eye; the same numbers as a table for everybody else, and for whoever wants them exactly. */
function Plot({ plot, asked }: PlotProps): ComponentChild {
  const { columns, series, top } = plot;
  const step = WIDTH / columns.length;
  const bars = columns.flatMap(({ values, startMs }, at) => {
    let below = 0;
    return values.flatMap((value, of) => {
      if (value === 0) return [];
      const height = (value / top) * HEIGHT;
      below += height;
      const place = { x: at * step + step * 0.12, y: HEIGHT - below, width: step * 0.76, height };
      const title = `${timeText(startMs, asked.span)}: ${series[of]?.name ?? ""} ${value}`;
      return [h("rect", { key: `${at} ${of}`, class: `series-${of}`, ...place }, h("title", null, title))];
    });
  });
  const label = `${asked.measure} by ${asked.by}, ${columns.length} columns; the table below has the numbers`;
  return h(
    Fragment,
    null,
    h(
      "div",
      { class: "plot" },
      h("span", { class: "top note" }, countText(top)),
      h(
        "svg",
        { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
        [0.25, 0.5, 0.75, 1].map((part) =>
          h("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * (1 - part), y2: HEIGHT * (1 - part) }),
        ),
        bars,
      ),
      h("div", { class: "axis note" }, axisLabels(plot, asked.span)),
    ),
    h("details", null, h("summary", null, "As a table"), h(PlotTable, { plot, asked })),
  );
}

function axisLabels({ columns }: UsagePlot, span: UsageSpan): readonly ComponentChild[] {
  const every = Math.ceil(columns.length / 6);
  const width = `${(every / columns.length) * 100}%`;
  return columns
    .filter((_, at) => at % every === 0)
    .map(({ startMs }) => h("span", { key: startMs, style: { width } }, timeText(startMs, span)));
}

function timeText(atMs: number, span: UsageSpan): string {
  const at = new Date(atMs);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  const day = at.toLocaleDateString([], { day: "numeric", month: "short" });
  if (span === "day") return time;
  return span === "week" ? `${day} ${time}` : day;
}

function PlotTable({ plot: { columns, series }, asked }: PlotProps): ComponentChild {
  const used = columns.filter((column) => column.total > 0);
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Usage as a table" },
    h(
      "table",
      { class: "numbers" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ["From", ...series.map(({ name }) => name)].map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h(
        "tbody",
        null,
        used.map(({ startMs, values }) =>
          h(
            "tr",
            { key: startMs },
            h("th", { scope: "row" }, timeText(startMs, asked.span)),
            values.map((value) => h("td", null, String(value))),
          ),
        ),
      ),
    ),
  );
}

function KeyBudgets({ keys }: { readonly keys: UsageReport["keys"] }): ComponentChild {
  return h(
    "section",
    { class: "card", "aria-labelledby": "budgets" },
    h("div", { class: "card-head" }, h("h3", { id: "budgets" }, "Limited keys, now")),
    h(
      "ul",
      { class: "budgets" },
      keys.map((key) => {
        const spent = key.spent_tokens + key.reserved_tokens;
        const words =
          key.hard_cap === null
            ? `${countText(spent)} tokens, not limited`
            : `${countText(spent)} of ${countText(key.hard_cap)} tokens${windowText(key.window_secs)}`;
        return h(
          "li",
          { key: key.id },
          h("strong", null, key.id),
          h(
            "span",
            { class: "note" },
            `${words} · ${key.requests_in_last_minute} requests in the last minute`,
          ),
          key.hard_cap === null
            ? null
            : h("progress", {
                value: Math.min(spent, key.hard_cap),
                max: key.hard_cap,
                "aria-label": `${key.id}: ${words}`,
              }),
        );
      }),
    ),
  );
}

const windowText = (seconds: number | null): string =>
  seconds === null ? "" : ` in ${Math.round(seconds / 3600)} hours`;
