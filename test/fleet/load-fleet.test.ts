import { describe, expect, test } from "vitest";
import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import { fleetDigest } from "../../src/fleet/schema/fleet-digest.ts";
import { parseFleet } from "../../src/fleet/load-fleet.ts";

const HOME = `
[fleet]
name = "home"

[[neurons]]
name = "beast"
endpoint = "http://beast:13131/"

[[models]]
id = "a"
`;

function fleetOf(texts: readonly string[], overrides: Readonly<Record<string, string>> = {}): Fleet {
  const result = parseFleet(
    texts.map((text, index) => ({ path: `${index}.toml`, text })),
    overrides,
  );
  if (!result.ok) throw new Error(result.error.map(({ message }) => message).join("\n"));
  return result.value.fleet;
}

function problemsOf(overrides: Readonly<Record<string, string>>): string[] {
  const result = parseFleet([{ path: "fleet.toml", text: HOME }], overrides);
  return result.ok
    ? []
    : result.error.map(({ file, code, message, help }) => `${file} ${code} ${message} (${help})`);
}

describe("merging", () => {
  test("tables may be split over files, and lists are joined in the order of the files", () => {
    const fleet = fleetOf([
      HOME,
      '[gateway]\nlisten = "127.0.0.1:1"\n[[models]]\nid = "b"\n',
      '[gateway]\nmetrics_listen = "127.0.0.1:2"\n[[models]]\nid = "c"\n[aliases]\nx = "b"\n',
    ]);
    expect(fleet.gateway).toMatchObject({ listen: "127.0.0.1:1", metrics_listen: "127.0.0.1:2" });
    expect(fleet.models.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(fleet.aliases).toEqual({ x: "b" });
  });

  test("defaults are filled in and the endpoint loses its last slash", () => {
    const fleet = fleetOf([HOME]);
    expect(fleet.eviction).toEqual({ strategy: "lru", drain_secs: 30, defrag_after_cycles: 50 });
    expect(fleet.neurons[0]?.endpoint).toBe("http://beast:13131");
    expect(fleet.models[0]).toMatchObject({ replicas: 0, parallel: 4, min_devices: 1, pinned_on: [] });
  });

  test("the result cannot be changed", () => {
    const fleet = fleetOf([HOME]);
    expect(() => {
      Object.assign(fleet.models[0] ?? {}, { replicas: 9 });
    }).toThrow(TypeError);
  });
});

describe("environment overrides", () => {
  test("a variable wins over the files, and numbers are numbers", () => {
    const fleet = fleetOf([`${HOME}[gateway]\nlisten = "127.0.0.1:1"\n`], {
      CORTEX_GATEWAY__LISTEN: "127.0.0.1:9",
      CORTEX_EVICTION__DEFRAG_AFTER_CYCLES: "7",
      CORTEX_FLEET__NAME: "away",
    });
    expect([fleet.gateway.listen, fleet.eviction.defrag_after_cycles, fleet.fleet.name]).toEqual([
      "127.0.0.1:9",
      7,
      "away",
    ]);
  });

  test("variables of the process itself are none of the fleet's business", () => {
    expect(problemsOf({ CORTEX_LOG_LEVEL: "debug", CORTEX_DATA_DIR: "/tmp", CORTEX_CONFIG: "." })).toEqual(
      [],
    );
  });

  test.each([
    ["CORTEX_GATEWAY__LISTNE", "did you mean CORTEX_GATEWAY__LISTEN?"],
    ["CORTEX_GATEWAY_LISTEN", "did you mean CORTEX_GATEWAY__LISTEN?"],
    ["CORTEX_NOSUCH__THING", "settings that can be overridden: "],
    ["CORTEX_GITOPS__MODUS", "did you mean CORTEX_GITOPS__MODE?"],
    ["CORTEX_MODELS__REPLICAS", "write CORTEX_MODELS__<ID>__<KEY>; declared: A"],
    ["CORTEX_NEURONS__BAEST__DRAIN", "did you mean CORTEX_NEURONS__BEAST__DRAIN?"],
    ["CORTEX_NEURONS__BEAST", "write CORTEX_NEURONS__<NAME>__<KEY>; declared: BEAST"],
    ["CORTEX_NEURONS__BEAST__DRIAN", "did you mean DRAIN?"],
    ["CORTEX_NEURONS__BEAST__ZZZ", "keys there: NAME, ENDPOINT, LABELS, DRAIN, WEIGHT"],
    ["CORTEX_ALIASES__NOSUCH", "only aliases of the files can be moved"],
  ])("%s hits nothing and says so", (name, help) => {
    const [problem] = problemsOf({ [name]: "127.0.0.1:9" });
    expect(problem).toContain(`environment variable ${name} CTX118`);
    expect(problem).toContain(help);
  });

  test("a wrong value is found at the variable, not in a file", () => {
    expect(problemsOf({ CORTEX_EVICTION__STRATEGY: "oldest" })).toEqual([
      'environment variable CORTEX_EVICTION__STRATEGY CTX103 `eviction.strategy` must be one of "lru", "priority", "cost", not "oldest" (write it like `strategy = "lru"` (which on-demand model gives way))',
    ]);
  });

  test("keys of blocks are overridden by the name of the block, as TOML values where text is not wanted", () => {
    const files = [
      `${HOME}context = 7\nlimit = { context = 5 }\n[[models]]\nid = "Org/B-1"\n[aliases]\nx-y = "a"\n`,
      `[[keys]]\nid = "ci"\nhash = "sha256:${"0".repeat(64)}"\n`,
    ];
    const fleet = fleetOf(files, {
      CORTEX_NEURONS__BEAST__DRAIN: "true",
      CORTEX_NEURONS__BEAST__LABELS: '{ room = "r" }',
      CORTEX_MODELS__A__LIMIT__CONTEXT: "6",
      CORTEX_MODELS__ORG_B_1__PINNED_ON: '["beast"]',
      CORTEX_MODELS__ORG_B_1__SOURCE: "1.gguf",
      CORTEX_KEYS__CI__HARD_CAP: "5_000",
      CORTEX_KEYS__CI__WINDOW__SECONDS: "60",
      CORTEX_KEYS__CI__WINDOW__KIND: "rolling",
      CORTEX_ALIASES__X_Y: "Org/B-1",
      CORTEX_LEDGER__URL: "rediss://:secret@ledger:6379/0",
    });
    expect(fleet.neurons[0]).toMatchObject({ drain: true, labels: { room: "r" } });
    expect(fleet.models[0]?.limit).toEqual({ context: 6 });
    expect(fleet.models[1]).toMatchObject({ pinned_on: ["beast"], source: "1.gguf" });
    expect(fleet.keys[0]).toMatchObject({ hard_cap: 5000, window: { kind: "rolling", seconds: 60 } });
    expect(fleet.aliases).toEqual({ "x-y": "Org/B-1" });
    expect(fleet.ledger.url).toBe("rediss://:secret@ledger:6379/0");
  });

  test("a variable that stands for two blocks moves neither", () => {
    const result = parseFleet([{ path: "fleet.toml", text: `${HOME}[[models]]\nid = "A-"\n` }], {
      CORTEX_MODELS__A__REPLICAS: "1",
    });
    expect(result.ok ? [] : result.error.map(({ help }) => help)).toEqual([
      "A stands for a and A-; change the files instead",
    ]);
  });

  test("a secret in a variable that is wrong is not repeated", () => {
    const problems = problemsOf({ CORTEX_LEDGER__URL: "http://:hunter2@ledger:1" });
    expect(problems.join("\n")).toContain("CTX103");
    expect(problems.join("\n")).not.toContain("hunter2");
  });

  test("text that looks like a number stays text where text is wanted", () => {
    expect(fleetOf([HOME], { CORTEX_FLEET__NAME: "42" }).fleet.name).toBe("42");
  });
});

describe("digest", () => {
  test("is the same however the fleet is written down", () => {
    const oneFile = fleetOf([`${HOME}[[models]]\nid = "b"\nreplicas = 1\ncapabilities = ["x", "y"]\n`]);
    const split = fleetOf([
      '# b first\n[[models]]\nreplicas = 1\nparallel = 4\nid = "b"\ncapabilities = ["y", "x"]\n',
      HOME,
    ]);
    expect(fleetDigest(split)).toBe(fleetDigest(oneFile));
  });

  test.each(["replicas = 1", "context = 5", "protect = true"])("differs after %s", (line) => {
    expect(fleetDigest(fleetOf([`${HOME}${line}\n`]))).not.toBe(fleetDigest(fleetOf([HOME])));
  });
});

describe("a file that is broken all over", () => {
  const BLOCKS = 8000;

  // Quadratic work on a stranger's file would hold a CI job for minutes.
  test.each([
    ["syntax", "[[models]]\nid = m\n", "CTX101"],
    ["keys", '[[models]]\nid = "m"\nreplicsa = 1\n', "CTX102"],
    ["ids", '[[models]]\nid = "m"\n', "CTX106"],
  ])("is answered in one go: %s", { timeout: 60_000 }, (_what, block, code) => {
    const text = `[fleet]\nname = "home"\n${block.repeat(BLOCKS)}`;
    const result = parseFleet([{ path: "fleet.toml", text }]);
    const found = result.ok ? [] : result.error.filter((finding) => finding.code === code);
    expect(found.length).toBeGreaterThanOrEqual(BLOCKS - 1);
    expect(found.at(-1)?.line).toBeGreaterThan(BLOCKS);
  });
});

const findingsOf = (path: string, text: string): readonly string[] => {
  const result = parseFleet([{ path, text }]);
  return result.ok ? [] : result.error.map(({ code, message }) => `${code} ${message}`);
};

describe("a file that is not read as it looks", () => {
  const fleet = '[fleet]\nname = "home"\n';
  const UTF_16 = "CTX101 the file is UTF-16, as some editors and shells of Windows write it";

  test.each([
    ["with its mark", Buffer.from(`\uFEFF${fleet}`, "utf16le")],
    ["without", Buffer.from(fleet, "utf16le")],
    ["with the larger byte first", Buffer.from(`\uFEFF${fleet}`, "utf16le").swap16()],
  ])("UTF-16 is named, %s", (_how, bytes) => {
    expect(findingsOf("fleet.toml", bytes.toString("utf8"))).toEqual([UTF_16]);
  });

  test.each(["fleet.TOML", "models/Qwen.Toml"])(
    "%s is named: some systems would read it and others not",
    (path) => {
      const [finding = ""] = findingsOf(path, fleet);
      expect(finding).toMatch(/^CTX132 \S+ is not read: its ending is not \.toml in lower case$/);
    },
  );
});

test("a message shows nothing of a long secret that it cuts off, and keeps its words", () => {
  const password = "correct-horse-battery-staple-correct-horse-battery-staple-1";
  const text = `[fleet]\nname = "home"\n[[neurons]]\nname = "a"\nendpoint = "http://u:${password}@a:13131?x"\n`;
  const result = parseFleet([{ path: "fleet.toml", text }]);
  const shown = JSON.stringify(result.ok ? [] : result.error);
  expect(shown).not.toContain(password.slice(0, 8));
  expect(shown).toContain("holds a password or a token");
});
