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

interface Settings {
  readonly dialect: string;
  readonly file: { readonly path: string } | null;
  readonly text: string | null;
  readonly shell: readonly string[];
  readonly notes: readonly string[];
}

/** The settings of one client, with the place where they belong; what is said beside them is a comment of a shell. */
export const clientSettingsView = (
  { baseUrl, model }: { readonly baseUrl: string; readonly model: string },
  { dialect, file, text, shell, notes }: Settings,
) => ({
  json: {
    base_url: baseUrl,
    model,
    dialect,
    file: file === null ? null : `~/${file.path}`,
    text,
    shell,
    notes,
  },
  human: () =>
    [
      ...(file === null || text === null ? [] : [`In ~/${file.path}:`, "", text, "", "Then:", ""]),
      ...shell,
      ...notes.map((note) => `# ${note}`),
    ].join("\n"),
});

/** Where settings are now, and where those before them are. */
export const writtenView = (
  { path, isSame }: { readonly path: string; readonly isSame: boolean },
  backup: string | null,
) => ({
  json: { path, changed: !isSame, backup },
  human: () => {
    if (isSame) return `${path} says so already`;
    return backup === null ? `wrote ${path}` : `wrote ${path}; what it was: ${backup}`;
  },
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
