import * as Flags from "@oclif/core/flags";
import { CortexError } from "../../core/errors.ts";
import { parseDuration } from "../../core/quantities.ts";

/* Flags that several commands share: one name, one variable, one sentence. */

export const configFlag = Flags.string({
  char: "c",
  aliases: ["path"],
  env: "CORTEX_CONFIG",
  default: ".",
  helpValue: "PATH",
  summary: "fleet repository (also --path): a directory, one TOML file, or git+<url>#<ref>:<path>",
});

/** Each command says what it does with the revision. */
export const refFlag = (summary: string) => Flags.string({ helpValue: "REV", summary });

export const targetFlag = (summary: string) => Flags.string({ helpValue: "MODEL", multiple: true, summary });

export const exceptFlag = Flags.string({
  helpValue: "MODEL",
  multiple: true,
  exclusive: ["target"],
  summary: "leave this model out, and what cannot be done without changing it",
});

export const neuronTokenFileFlag = Flags.string({
  env: "CORTEX_NEURON_TOKEN_FILE",
  helpValue: "PATH",
  summary: "file with the token that the neurons ask for (mode 600)",
});

/** For a command that reads no fleet files, which would say where. */
export const endpointFlag = Flags.string({
  env: "CORTEX_GATEWAY_URL",
  default: "http://127.0.0.1:31313",
  helpValue: "URL",
  summary: "base URL of the gateway",
});

export const apiKeyFileFlag = Flags.string({
  env: "CORTEX_API_KEY_FILE",
  helpValue: "PATH",
  summary: "file with the key that the gateway asks for (mode 600)",
});

export const watchFlag = Flags.boolean({
  char: "w",
  summary:
    "again and again until Ctrl-C: in place in a terminal, else when it has changed; --json: one object a line",
});

export const metricsUrlFlag = Flags.string({
  env: "CORTEX_METRICS_URL",
  helpValue: "URL",
  summary: "the gateway's metrics, for requests a minute; default: metrics_listen of the fleet files, here",
});

export const gatewayUrlFlag = Flags.string({
  env: "CORTEX_GATEWAY_URL",
  helpValue: "URL",
  summary: "base URL of the gateway; default: where the fleet files let it listen, on this machine",
});

export const logLevelFlag = (level: "info" | "warn") =>
  Flags.option({
    options: ["trace", "debug", "info", "warn", "error", "silent"] as const,
    env: "CORTEX_LOG_LEVEL",
    default: level,
    summary: "least severity that is logged to stderr",
  })();

export const portFlag = (
  summary: string,
  port: { readonly least: 0 | 1; readonly fallback: number; readonly env?: string },
) =>
  Flags.integer({
    ...(port.env === undefined ? {} : { env: port.env }),
    default: port.fallback,
    min: port.least,
    max: 65_535,
    summary,
  });

/** In milliseconds. */
export const durationFlag = (name: string, summary: string) =>
  Flags.custom<number>({
    helpValue: "TIME",
    summary,
    parse: (text) => Promise.resolve(durationOf(name, text)),
  })();

function durationOf(name: string, text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return durationMs;
  throw new CortexError("usage_error", `--${name} ${text} is no time`, {
    next: "write a figure with its unit, s, m or h: 90s, 15m, 2h",
  });
}

/** How often what `--watch` shows is read again. */
export const intervalFlag = durationFlag("interval", "how often with --watch, as 5s; default: 2s");
