import { readdirSync } from "node:fs";
import { parse } from "smol-toml";
import { expect, test } from "vitest";
import type { Diagnostic } from "../../../src/fleet/text/diagnostics.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import type { FleetFile } from "../../../src/fleet/text/source-lines.ts";
import { BROKEN_FLEETS, fixtureFiles } from "../fleet-fixtures.ts";

/** What a finding says was meant, as TOML. */
const suggestionOf = ({ help }: Diagnostic): string | undefined => {
  const [, suggested = ""] = /^did you mean `(.*)`(?:, [^`]*)?\?$/.exec(help) ?? [];
  const [, value = suggested] = /^(?:[A-Za-z0-9_-]+|"[^"]*") = (.*)$/.exec(suggested) ?? [];
  return value === "" || value.includes("***") ? undefined : value;
};

function replaced(files: readonly FleetFile[], at: Diagnostic, text: string): FleetFile[] {
  return files.map((file) => {
    if (file.path !== at.file) return file;
    const lines = file.text.split("\n");
    const line = lines[at.line - 1] ?? "";
    const end = at.column - 1 + (at.length ?? 0);
    lines[at.line - 1] = line.slice(0, at.column - 1) + text + line.slice(end);
    return { path: file.path, text: lines.join("\n") };
  });
}

const findingsOf = (files: readonly FleetFile[]): readonly Diagnostic[] => {
  const result = parseFleet(files);
  return result.ok ? result.value.warnings : result.error;
};

test("a value that a finding suggests is allowed there, when it is written as suggested", () => {
  let tried = 0;
  for (const name of readdirSync(BROKEN_FLEETS)) {
    const files = fixtureFiles(name);
    for (const finding of findingsOf(files).filter(({ code }) => code === "CTX103")) {
      const value = suggestionOf(finding);
      if (value === undefined) continue;
      tried += 1;
      expect(() => parse(`value = ${value}\n`), finding.help).not.toThrow();
      const after = findingsOf(replaced(files, finding, value));
      const sameValue = after.filter(
        ({ code, file, line, column }) =>
          code === "CTX103" && file === finding.file && line === finding.line && column === finding.column,
      );
      expect(sameValue, `${name}: ${finding.help}`).toEqual([]);
    }
  }
  expect(tried).toBeGreaterThan(30);
});

test("tables where a value belongs are a finding at their place, also in lists", () => {
  const text = `[fleet]
name = "home"
[[neurons]]
name = "beast"
endpoint = "http://127.0.0.1:13131"
[[models]]
id = "m"
source = "m"
replicas = [{ a = 1 }]
protect = { b = [{}] }
capabilities = [[{}]]
`;
  const found = findingsOf([{ path: "fleet.toml", text }]);
  expect(found.map(({ code, line }) => `${code} ${line}`)).toEqual(["CTX103 9", "CTX103 10", "CTX103 11"]);
});
