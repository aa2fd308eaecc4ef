import { createHash } from "node:crypto";
import { DIAGNOSTIC_CODES, type DiagnosticCode } from "../../fleet/text/diagnostic-codes.ts";
import type { Diagnostic, Place } from "../../fleet/text/diagnostics.ts";
import { isInFile } from "./diagnostics-github.ts";

interface SarifOptions {
  readonly version: string;
  /** Turns a finding's file into its path from the top of the repository. */
  readonly repositoryPath: (file: string) => string;
}

/**
 * Findings as SARIF 2.1.0, in the part of it that code hosts read: each result with a rule, a location relative to
 * the top of the repository, and a fingerprint that stays the same when the finding moves to another line.
 */
export function diagnosticsToSarif(diagnostics: readonly Diagnostic[], options: SarifOptions): unknown {
  const codes = [...new Set(diagnostics.map(({ code }) => code))].toSorted();
  // A host shows no result without a file; what an environment variable got wrong stands at the first one.
  const anyFile = diagnostics.map(({ file }) => file).find(isInFile) ?? "fleet.toml";
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: { name: "cortex", semanticVersion: options.version, rules: codes.map(rule) },
        },
        columnKind: "utf16CodeUnits",
        originalUriBaseIds: { SRCROOT: { description: { text: "top of the fleet repository" } } },
        results: diagnostics.map((finding) => ({
          ruleId: finding.code,
          ruleIndex: codes.indexOf(finding.code),
          level: finding.severity,
          message: { text: messageText(finding) },
          locations: [
            location({ ...finding, file: isInFile(finding.file) ? finding.file : anyFile }, options),
          ],
          ...(finding.related === undefined
            ? {}
            : {
                relatedLocations: finding.related.map((spot, index) => ({
                  id: index + 1,
                  ...location(spot, options),
                  message: { text: spot.message },
                })),
              }),
          partialFingerprints: { "cortexFinding/v1": fingerprint(finding, options) },
        })),
      },
    ],
  };
}

function rule(code: DiagnosticCode): unknown {
  const { title, severity, help } = DIAGNOSTIC_CODES[code];
  return {
    id: code,
    name: title.replaceAll(/[^A-Za-z0-9]+(.)?/g, (_all, next: string | undefined) =>
      (next ?? "").toUpperCase(),
    ),
    shortDescription: { text: title },
    fullDescription: { text: `${title}: ${help}` },
    help: { text: `${help}\nMore: cortex explain ${code}` },
    defaultConfiguration: { level: severity },
    properties: { tags: ["fleet"], "problem.severity": severity },
  };
}

function messageText({ file, message, help }: Diagnostic): string {
  return `${isInFile(file) || file === "" ? "" : `${file}: `}${message}\nhelp: ${help}`;
}

function location(place: Place & { readonly length?: number }, { repositoryPath }: SarifOptions): object {
  const { file, line, column, length } = place;
  const path = repositoryPath(file);
  const isAbsolute = path.startsWith("/");
  const uri = path.split("/").map(encodeURIComponent).join("/");
  return {
    physicalLocation: {
      artifactLocation: isAbsolute ? { uri: `file://${uri}` } : { uri, uriBaseId: "SRCROOT" },
      region: {
        startLine: line,
        startColumn: column,
        ...(length === undefined ? {} : { endLine: line, endColumn: column + length }),
      },
    },
  };
}

function fingerprint({ code, file, message }: Diagnostic, { repositoryPath }: SarifOptions): string {
  // A line number in a message ("already declared in fleet.toml:4") moves with every edit above it.
  const steady = message.replaceAll(/:\d+\b/g, "");
  return createHash("sha256")
    .update(JSON.stringify([code, repositoryPath(file), steady]))
    .digest("hex")
    .slice(0, 32);
}
