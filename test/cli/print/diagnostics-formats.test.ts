import { describe, expect, test } from "vitest";
import { z } from "zod";
import { diagnosticsToGithub } from "../../../src/cli/print/diagnostics-github.ts";
import { diagnosticsToSarif } from "../../../src/cli/print/diagnostics-sarif.ts";
import type { Diagnostic } from "../../../src/fleet/text/diagnostics.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import { readdirSync } from "node:fs";
import { BROKEN_FLEETS, fixtureFiles } from "../../fleet/fleet-fixtures.ts";

const findingsOf = (
  texts: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, string>> = {},
): readonly Diagnostic[] => {
  const files = Object.entries(texts).map(([path, text]) => ({ path, text }));
  const result = parseFleet(files, overrides);
  return result.ok ? result.value.warnings : result.error;
};

const asGiven = (file: string) => file;

/** What code scanning reads of SARIF 2.1.0, and what it refuses a file without. */
const sarifPlaceSchema = z.strictObject({
  physicalLocation: z.strictObject({
    artifactLocation: z.strictObject({
      // Relative to the repository, percent-encoded, never climbing.
      uri: z.string().regex(/^(?!\/)(?!.*\.\.)[A-Za-z0-9._~%()!*'/-]+$/),
      uriBaseId: z.literal("SRCROOT"),
    }),
    region: z
      .strictObject({
        startLine: z.int().positive(),
        startColumn: z.int().positive(),
        endLine: z.int().positive().optional(),
        endColumn: z.int().positive().optional(),
      })
      .refine(({ startColumn, endColumn }) => endColumn === undefined || endColumn > startColumn),
  }),
});

const sarifSchema = z.strictObject({
  $schema: z.url(),
  version: z.literal("2.1.0"),
  runs: z
    .array(
      z.strictObject({
        tool: z.strictObject({
          driver: z.strictObject({
            name: z.literal("cortex"),
            semanticVersion: z.string(),
            rules: z.array(
              z.strictObject({
                id: z.string().regex(/^CTX\d{3}$/),
                name: z.string().regex(/^[A-Za-z0-9]{1,255}$/),
                shortDescription: z.strictObject({ text: z.string().min(1).max(1024) }),
                fullDescription: z.strictObject({ text: z.string().min(1).max(1024) }),
                help: z.strictObject({ text: z.string().min(1) }),
                defaultConfiguration: z.strictObject({ level: z.enum(["error", "warning"]) }),
                properties: z.strictObject({
                  tags: z.array(z.string()).max(20),
                  "problem.severity": z.enum(["error", "warning"]),
                }),
              }),
            ),
          }),
        }),
        columnKind: z.literal("utf16CodeUnits"),
        originalUriBaseIds: z.record(
          z.string(),
          z.strictObject({ description: z.strictObject({ text: z.string() }) }),
        ),
        results: z
          .array(
            z.strictObject({
              ruleId: z.string(),
              ruleIndex: z.int().nonnegative(),
              level: z.enum(["error", "warning"]),
              message: z.strictObject({ text: z.string().min(1) }),
              locations: z.array(sarifPlaceSchema).length(1),
              relatedLocations: z
                .array(
                  sarifPlaceSchema.extend({ id: z.int(), message: z.strictObject({ text: z.string() }) }),
                )
                .optional(),
              partialFingerprints: z.strictObject({ "cortexFinding/v1": z.string().regex(/^[0-9a-f]{32}$/) }),
            }),
          )
          .max(5000),
      }),
    )
    .length(1),
});

const sarifOf = (findings: readonly Diagnostic[]) =>
  sarifSchema.parse(diagnosticsToSarif(findings, { version: "1.2.3", repositoryPath: asGiven }));

const fingerprintsAfter = (lines: string) =>
  sarifOf(
    findingsOf({
      "fleet.toml": `[fleet]\nname = "a"\n${lines}[[models]]\nid = "m"\n[[models]]\nid = "m"\nx = 1\n`,
    }),
  ).runs[0]?.results.map(({ partialFingerprints }) => partialFingerprints["cortexFinding/v1"]);

describe("SARIF", () => {
  test.each(readdirSync(BROKEN_FLEETS))(
    "of the broken fleet %s has the shape that code hosts take",
    (name) => {
      const result = parseFleet(fixtureFiles(name), { CORTEX_GATEWAY__LISTNE: "x" });
      const findings = result.ok ? result.value.warnings : result.error;
      const [run] = sarifOf(findings).runs;
      expect(run?.results).toHaveLength(findings.length);
      for (const { ruleId, ruleIndex } of run?.results ?? []) {
        expect(run?.tool.driver.rules[ruleIndex]?.id).toBe(ruleId);
      }
    },
  );

  test("a valid fleet is a run without results", () => {
    expect(sarifOf([]).runs[0]?.results).toEqual([]);
  });

  test("a fingerprint stays when the finding moves and tells two findings apart", () => {
    expect(fingerprintsAfter("\n\n\n")).toEqual(fingerprintsAfter(""));
    expect(new Set(fingerprintsAfter("")).size).toBe(3);
  });

  test("paths are encoded, and what has no file stands at the first one", () => {
    const findings = findingsOf(
      { "mödels/a b.toml": 'x = 1\n[fleet]\nname = "a"\n[[models]]\nid = "m"\n' },
      { CORTEX_GATEWAY__LISTEN: "x" },
    );
    const [run] = sarifOf(findings).runs;
    const uris = run?.results.map(({ locations }) => locations[0]?.physicalLocation.artifactLocation.uri);
    expect([...new Set(uris)]).toEqual(["m%C3%B6dels/a%20b.toml"]);
    expect(run?.results.map(({ message }) => message.text).join("\n")).toContain(
      "environment variable CORTEX_GATEWAY__LISTEN: ",
    );
  });
});

describe("GitHub annotations", () => {
  test("one line each, with place, title, message, related place and help", () => {
    const findings = findingsOf({
      "a.toml":
        '[fleet]\nname = "home"\n[[neurons]]\nname = "n"\nendpoint = "http://n:1"\n[[models]]\nid = "m"\nreplicsa = 1\n',
      "b.toml": '[[models]]\nid = "m"\nidle_unload_secs = 1\nreplicas = 1\n',
    });
    expect(diagnosticsToGithub(findings, (file) => `fleet/${file}`).split("\n")).toEqual([
      "::error file=fleet/a.toml,line=8,endLine=8,col=1,endColumn=9,title=CTX102::`replicsa` is not a key of a [[models]] block%0Ahelp: did you mean `replicas`?",
      "::error file=fleet/b.toml,line=2,endLine=2,col=6,endColumn=9,title=CTX106::model `m` is already declared in a.toml:7%0Aa.toml:7: declared here first%0Ahelp: names of neurons, ids of models and ids of keys are unique in a fleet; rename or remove one",
      "::warning file=fleet/b.toml,line=3,endLine=3,col=1,endColumn=17,title=CTX117::`idle_unload_secs` does nothing for `m`: replicas > 0 keeps it loaded%0Ahelp: remove the setting",
    ]);
  });

  test("nothing that a file says can end the command or start another", () => {
    const evil = "x%0A::error::\r\n,file=etc:passwd";
    const finding: Diagnostic = {
      file: "a,b:c%.toml",
      line: 1,
      column: 1,
      code: "CTX103",
      severity: "error",
      message: evil,
      help: "h\n::stop-commands::x",
    };
    const text = diagnosticsToGithub([finding], asGiven);
    expect(text).toBe(
      "::error file=a%2Cb%3Ac%25.toml,line=1,endLine=1,col=1,endColumn=2,title=CTX103::x%250A::error::%0D%0A,file=etc:passwd%0Ahelp: h%0A::stop-commands::x",
    );
  });

  test("an environment variable has no line to stand at", () => {
    const findings = findingsOf(
      {
        "fleet.toml":
          '[fleet]\nname = "a"\n[[neurons]]\nname = "n"\nendpoint = "http://n:1"\n[[models]]\nid = "m"\n',
      },
      { CORTEX_GATEWAY__LISTEN: "x" },
    );
    expect(diagnosticsToGithub(findings, asGiven)).toMatch(
      /^::error title=CTX103::environment variable CORTEX_GATEWAY__LISTEN: `gateway.listen` must be/,
    );
  });
});
