import { formatDuration } from "../../core/quantities.ts";
import { paint } from "../print/paint.ts";
import type { Look, View } from "./view.ts";

interface EndpointCheck {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly detail: string;
  readonly durationMs: number;
}

/** How to use the endpoint; `usage` is the text for people. */
export const connectView = (
  { baseUrl, model }: { readonly baseUrl: string; readonly model: string },
  usage: string,
): View<unknown> => ({ json: { base_url: `${baseUrl}/v1`, model }, human: () => usage });

/** The settings of one client; the text alone, so that it can be piped, but for the place where it belongs. */
export const clientSettingsView = (
  { baseUrl, model }: { readonly baseUrl: string; readonly model: string },
  settings: { readonly file: string | null; readonly text: string },
): View<unknown> => ({
  json: { base_url: baseUrl, model, ...settings },
  human: () => (settings.file === null ? settings.text : `In ${settings.file}:\n\n${settings.text}`),
});

/** What happened when it was used. */
export const endpointView = (
  baseUrl: string,
  report: { readonly checks: readonly EndpointCheck[] },
): View<unknown> => ({
  json: { base_url: `${baseUrl}/v1`, ...report },
  human: (look) => report.checks.map((check) => checkLine(check, look)).join("\n"),
});

const STYLES = { passed: "green", failed: "red", skipped: "yellow" } as const;

const checkLine = ({ name, outcome, detail, durationMs }: EndpointCheck, { colour }: Look): string =>
  `${paint(outcome.padEnd(7), STYLES[outcome], colour)} ${name.padEnd(13)} ${formatDuration(durationMs).padStart(8)}  ${detail}`;
