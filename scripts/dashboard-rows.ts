/** What the dashboard of dashboards/cortex.json shows. */
interface Target {
  readonly expr: string;
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly says: string;
  readonly type: "stat" | "timeseries" | "bargauge";
  readonly width: number;
  readonly unit?: string;
  readonly stacked?: true;
  /** From this value on it is yellow, and red. */
  readonly warnAt?: readonly [yellow: number, red: number];
  readonly targets: readonly Target[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Of the gateways that are chosen above, and of the models. */
const GATEWAY = 'instance=~"$gateway"';
const MODEL = `${GATEWAY},model=~"$model"`;

const rate = (metric: string, by: string, filter = MODEL): string =>
  `sum by (${by}) (rate(${metric}{${filter}}[$__rate_interval]))`;

const quantile = (q: number, metric: string, by = ""): string =>
  `histogram_quantile(${q}, sum by (le${by === "" ? "" : `, ${by}`}) (rate(${metric}_bucket{${MODEL}}[$__rate_interval])))`;

const one = (expr: string, legend = ""): readonly Target[] => [{ expr, legend }];

/** From what is looked at first to what is looked at last. */
export const ROWS: readonly Row[] = [
  {
    title: "Now",
    panels: [
      {
        title: "Neurons that answer",
        says: "Of all that the fleet files declare.",
        type: "stat",
        width: 4,
        targets: [
          { expr: `max(sum by (instance) (cortex_neuron_healthy{${GATEWAY}}))`, legend: "answer" },
          { expr: `max(count by (instance) (cortex_neuron_healthy{${GATEWAY}}))`, legend: "declared" },
        ],
      },
      {
        title: "Copies missing",
        says: "Declared as resident and not serving.",
        type: "stat",
        width: 4,
        warnAt: [1, 2],
        targets: one(
          `sum(max by (model) (clamp_min(cortex_model_declared_copies{${MODEL}} - cortex_model_serving_copies{${MODEL}}, 0)))`,
        ),
      },
      {
        title: "Requests a second",
        says: "All answers, errors too.",
        type: "stat",
        width: 4,
        unit: "reqps",
        targets: one(`sum(rate(cortex_requests_total{${MODEL}}[$__rate_interval]))`),
      },
      {
        title: "Failed",
        says: "Part of the requests that ended in a 5xx.",
        type: "stat",
        width: 4,
        unit: "percentunit",
        warnAt: [0.01, 0.05],
        targets: one(
          `sum(rate(cortex_requests_total{${MODEL},status=~"5.."}[$__rate_interval])) / clamp_min(sum(rate(cortex_requests_total{${MODEL}}[$__rate_interval])), 0.001)`,
        ),
      },
      {
        title: "First token, p95",
        says: "From the request's last byte to the first content of a streamed answer.",
        type: "stat",
        width: 4,
        unit: "s",
        warnAt: [5, 15],
        targets: one(quantile(0.95, "cortex_time_to_first_token_seconds")),
      },
      {
        title: "In flight",
        says: "Requests held open, those that wait for a load included.",
        type: "stat",
        width: 4,
        targets: one(`sum(cortex_requests_in_flight{${MODEL}})`),
      },
    ],
  },
  {
    title: "Traffic",
    panels: [
      {
        title: "Requests by model",
        says: "Answers a second.",
        type: "timeseries",
        width: 12,
        unit: "reqps",
        stacked: true,
        targets: one(rate("cortex_requests_total", "model"), "{{model}}"),
      },
      {
        title: "Requests by status",
        says: "499: the client left before the answer was complete.",
        type: "timeseries",
        width: 12,
        unit: "reqps",
        stacked: true,
        targets: one(rate("cortex_requests_total", "status"), "{{status}}"),
      },
      {
        title: "Time to the first token",
        says: "Of streamed answers.",
        type: "timeseries",
        width: 12,
        unit: "s",
        targets: [
          { expr: quantile(0.5, "cortex_time_to_first_token_seconds", "model"), legend: "p50 {{model}}" },
          { expr: quantile(0.95, "cortex_time_to_first_token_seconds", "model"), legend: "p95 {{model}}" },
        ],
      },
      {
        title: "Time of whole answers, p95",
        says: "From the request's last byte to the answer's last byte, streams included.",
        type: "timeseries",
        width: 12,
        unit: "s",
        targets: one(quantile(0.95, "cortex_request_duration_seconds", "model"), "{{model}}"),
      },
    ],
  },
  {
    title: "What goes wrong",
    panels: [
      {
        title: "Errors by code",
        says: "docs/errors.md says what each means and what to do.",
        type: "timeseries",
        width: 12,
        unit: "reqps",
        stacked: true,
        targets: one(rate("cortex_request_errors_total", "code"), "{{code}}"),
      },
      {
        title: "Answers that broke off",
        says: "After their first byte, by neuron: a client sees an error at the end of its stream.",
        type: "timeseries",
        width: 6,
        unit: "reqps",
        targets: one(rate("cortex_streams_cut_total", "model, node"), "{{model}} on {{node}}"),
      },
      {
        title: "Sent again",
        says: "Before the first byte, to another copy.",
        type: "timeseries",
        width: 6,
        unit: "reqps",
        targets: one(rate("cortex_retries_total", "reason"), "{{reason}}"),
      },
      {
        title: "Clients that left",
        says: "By what the request was doing: waiting for a load, for the first token, or streaming.",
        type: "timeseries",
        width: 12,
        unit: "reqps",
        targets: one(rate("cortex_client_disconnects_total", "phase"), "{{phase}}"),
      },
      {
        title: "Refused by a copy",
        says: "Its queue was full.",
        type: "timeseries",
        width: 12,
        unit: "reqps",
        targets: one(
          rate("cortex_model_rejections_total", "node, model, reason"),
          "{{model}} on {{node}}: {{reason}}",
        ),
      },
    ],
  },
  {
    title: "Models",
    panels: [
      {
        title: "Copies: declared and serving",
        says: "A model whose line of serving copies is below the declared one is missing some.",
        type: "timeseries",
        width: 8,
        targets: [
          { expr: `max by (model) (cortex_model_serving_copies{${MODEL}})`, legend: "{{model}} serving" },
          { expr: `max by (model) (cortex_model_declared_copies{${MODEL}})`, legend: "{{model}} declared" },
        ],
      },
      {
        title: "Slots in use",
        says: "Of all slots of a model's copies.",
        type: "timeseries",
        width: 8,
        unit: "percentunit",
        targets: one(
          `sum by (model) (cortex_model_in_flight{${MODEL}}) / clamp_min(sum by (model) (cortex_model_max_in_flight{${MODEL}}), 1)`,
          "{{model}}",
        ),
      },
      {
        title: "Waiting",
        says: "At the gateway for a load or a place, and at the copies.",
        type: "timeseries",
        width: 8,
        targets: [
          { expr: `sum by (model) (cortex_load_waiters{${MODEL}})`, legend: "{{model}} at the gateway" },
          {
            expr: `max by (model) (sum by (model, instance) (cortex_model_queue_depth{${MODEL}}))`,
            legend: "{{model}} at copies",
          },
        ],
      },
      {
        title: "Loads begun by requests",
        says: "By how they ended.",
        type: "timeseries",
        width: 8,
        unit: "cps",
        targets: one(rate("cortex_cold_loads_total", "outcome"), "{{outcome}}"),
      },
      {
        title: "Time of loads, p95",
        says: "Of those that succeeded.",
        type: "timeseries",
        width: 8,
        unit: "s",
        targets: one(quantile(0.95, "cortex_model_load_seconds", "model"), "{{model}}"),
      },
      {
        title: "Models that had to leave",
        says: "For another one (swap), or because nobody asked for them (idle).",
        type: "timeseries",
        width: 8,
        unit: "cps",
        targets: [
          { expr: rate("cortex_evictions_total", "model, reason"), legend: "{{model}}: {{reason}}" },
          {
            expr: rate("cortex_cold_starts_total", "model"),
            legend: "{{model}}: requests that waited for a load",
          },
        ],
      },
    ],
  },
  {
    title: "Machines",
    panels: [
      {
        title: "Device memory in use",
        says: "Of all of it, whoever holds it.",
        type: "bargauge",
        width: 8,
        unit: "percentunit",
        warnAt: [0.9, 0.98],
        targets: one(
          `max by (node, device) (cortex_device_vram_used_mb{${GATEWAY}} / (cortex_device_vram_used_mb{${GATEWAY}} + cortex_device_vram_free_mb{${GATEWAY}}))`,
          "{{node}} {{device}}",
        ),
      },
      {
        title: "Device memory free",
        says: "What a model could still be given.",
        type: "timeseries",
        width: 8,
        unit: "mbytes",
        targets: one(`min by (node, device) (cortex_device_vram_free_mb{${GATEWAY}})`, "{{node}} {{device}}"),
      },
      {
        title: "Device utilization",
        says: "As its driver says.",
        type: "timeseries",
        width: 8,
        unit: "percent",
        targets: one(
          `max by (node, device) (cortex_device_utilization_pct{${GATEWAY}})`,
          "{{node}} {{device}}",
        ),
      },
      {
        title: "Device temperature",
        says: "As its driver says.",
        type: "timeseries",
        width: 8,
        unit: "celsius",
        warnAt: [80, 90],
        targets: one(`max by (node, device) (cortex_device_temp_c{${GATEWAY}})`, "{{node}} {{device}}"),
      },
      {
        title: "Neurons",
        says: "1 while it answers.",
        type: "timeseries",
        width: 8,
        targets: one(`min by (node) (cortex_neuron_healthy{${GATEWAY}})`, "{{node}}"),
      },
      {
        title: "Workers that crashed",
        says: "As the neurons count them, where these are scraped too.",
        type: "timeseries",
        width: 8,
        unit: "cps",
        targets: one(
          "sum by (instance, model) (rate(cortex_neuron_worker_crashes_total[$__rate_interval]))",
          "{{model}} on {{instance}}",
        ),
      },
    ],
  },
  {
    title: "Keys",
    panels: [
      {
        title: "Tokens by key",
        says: "Prompt and answer.",
        type: "timeseries",
        width: 8,
        unit: "short",
        stacked: true,
        targets: one(rate("cortex_key_tokens_total", "key, kind", GATEWAY), "{{key}} {{kind}}"),
      },
      {
        title: "Budgets",
        says: "Used and reserved, of what the key may spend in its window.",
        type: "bargauge",
        width: 8,
        unit: "percentunit",
        warnAt: [0.8, 0.95],
        targets: one(
          `max by (key) (cortex_key_budget_used_tokens{${GATEWAY}} / cortex_key_budget_tokens{${GATEWAY}})`,
          "{{key}}",
        ),
      },
      {
        title: "Refused for a limit",
        says: "By key and limit.",
        type: "timeseries",
        width: 8,
        unit: "reqps",
        targets: one(rate("cortex_key_refusals_total", "key, limit", GATEWAY), "{{key}}: {{limit}}"),
      },
    ],
  },
  {
    title: "Following git",
    panels: [
      {
        title: "The loop",
        says: "Ready: the fleet is as the branch declares. Stalled: nothing will happen before a person does something.",
        type: "timeseries",
        width: 12,
        targets: one("max by (fleet, type) (cortex_reconcile_condition)", "{{fleet}} {{type}}"),
      },
      {
        title: "Looks that failed in a row",
        says: "0 after one that succeeded.",
        type: "timeseries",
        width: 12,
        targets: one("max by (fleet) (cortex_reconcile_failures_in_a_row)", "{{fleet}}"),
      },
    ],
  },
];
