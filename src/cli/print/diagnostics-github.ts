import type { Diagnostic } from "../../fleet/text/diagnostics.ts";

/**
 * Findings as workflow commands: GitHub shows each at its line of the pull request; Gitea and Forgejo print it in the
 * job's log. `repositoryPath` turns a finding's file into the path that the host knows.
 */
export function diagnosticsToGithub(
  diagnostics: readonly Diagnostic[],
  repositoryPath: (file: string) => string,
): string {
  return diagnostics.map((finding) => workflowCommand(finding, repositoryPath)).join("\n");
}

function workflowCommand(finding: Diagnostic, repositoryPath: (file: string) => string): string {
  const { file, line, column, code, severity, message, help } = finding;
  const endColumn = column + Math.max(1, finding.length ?? 1);
  const place: [string, string][] = isInFile(file)
    ? [
        ["file", repositoryPath(file)],
        ["line", String(line)],
        ["endLine", String(line)],
        ["col", String(column)],
        ["endColumn", String(endColumn)],
      ]
    : [];
  const properties = [...place, ["title", code] as const]
    .map(([name, value]) => `${name}=${escapeProperty(value)}`)
    .join(",");
  const where = file === "" || isInFile(file) ? "" : `${file}: `;
  const related = (finding.related ?? [])
    .map((spot) => `\n${spot.file}:${spot.line}: ${spot.message}`)
    .join("");
  return `::${severity} ${properties}::${escapeData(`${where}${message}${related}\nhelp: ${help}`)}`;
}

/** Findings about environment variables and about nothing at all have no line to stand at. */
export const isInFile = (file: string): boolean => file !== "" && !file.startsWith("environment variable ");

const escapeData = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");

const escapeProperty = (text: string): string =>
  escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
