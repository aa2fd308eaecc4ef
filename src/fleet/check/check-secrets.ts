import type { Finding } from "../text/diagnostics.ts";
import { isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";
import { hasSecret } from "../text/mask-secrets.ts";
import type { KeyPath } from "../../core/key-path.ts";

/**
 * Secrets that stand in a file. A fleet repository is read by everybody who reviews it and by every CI job, so this
 * is an error even where the value would work. Values from the environment may hold them.
 */
export function secretFindings(merged: MergedFleetDocument): Finding[] {
  return textsOf(merged.document, []).flatMap(({ path, text }): Finding[] => {
    // The schema's findings know the keys' own secrets.
    if (path[0] === "keys" || !hasSecret(text) || !merged.isFromFile(path)) return [];
    const help = HELP[String(path[0])];
    return [
      {
        code: "CTX123",
        at: merged.placeOfValue(path),
        message: `\`${path.filter((step) => typeof step === "string").join(".")}\` holds a password or a token`,
        ...(help === undefined ? {} : { help }),
      },
    ];
  });
}

const HELP: Readonly<Record<string, string>> = {
  ledger:
    "leave the password out, set CORTEX_LEDGER__URL on the gateway's machine, and change it: git keeps it",
  gitops: "use an SSH key or git's credential helper, and change the password: git keeps it",
  neurons: "start with --neuron-token-file instead, and change the password: git keeps it",
};

interface FoundText {
  readonly path: KeyPath;
  readonly text: string;
}

function textsOf(value: unknown, path: KeyPath): FoundText[] {
  if (typeof value === "string") return [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => textsOf(item, [...path, index]));
  if (!isTable(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => textsOf(inner, [...path, key]));
}
