import type { Finding } from "../text/diagnostics.ts";
import { isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";
import { hasSecret } from "../text/mask-secrets.ts";
import type { KeyPath } from "../../core/key-path.ts";

/**
 * Secrets that stand in a file. A fleet repository is read by everybody who reviews it and by every CI job, so this
 * is an error even where the value would work. Values from the environment may hold them.
 */
export function secretFindings(merged: MergedFleetDocument): Finding[] {
  return secretsIn(merged.document, []).flatMap((path): Finding[] => {
    // The schema's findings know the keys' own secrets.
    if (path[0] === "keys" || !merged.isFromFile(path)) return [];
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

/** Where a text has one. A path is built only for what is found: of ten thousand blocks nothing is. */
function secretsIn(value: unknown, path: (string | number)[]): KeyPath[] {
  if (typeof value === "string") return hasSecret(value) ? [[...path]] : [];
  const steps = Array.isArray(value) ? value.entries() : isTable(value) ? Object.entries(value) : [];
  const found: KeyPath[] = [];
  for (const [step, inner] of steps as Iterable<[string | number, unknown]>) {
    path.push(step);
    found.push(...secretsIn(inner, path));
    path.pop();
  }
  return found;
}
