import { describe, expect, test } from "vitest";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import { printPlanMarkdown } from "../../../src/cli/print/print-plan-markdown.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import { declaredFleet } from "../../../src/protocol/declaration/declared-fleet.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { leavesAsDeclared } from "../../../src/protocol/plan-settled.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
} from "../observed-fleet-builders.ts";

const MODELS = `
[[models]]
id = "big"
source = "big.gguf"
replicas = 1
vram_mb = 4000
[[models]]
id = "small"
source = "small.gguf"
vram_mb = 1000
`;
const HASH = "a".repeat(64);
const KEY = `[[keys]]\nid = "ci"\nhash = "sha256:${HASH}"\nmodels = ["b*"]\nhard_cap = 1000\n`;
const BASE = `${MODELS}${KEY}[aliases]\nlarge = "big"\n`;

const fleetOf = (toml: string): Fleet => fleetFromToml(toml, ["a"]);

/** The neuron holds what the base declares, as it declares it. */
function planOn(after: string, before = BASE): PlanDocument {
  const [fleet, base] = [fleetOf(after), fleetOf(before)];
  const residents = [residentModel({ id: "big", vramMb: 4000, specHash: declaredHash(base, "big") })];
  const observed = observedFleet(observedNeuron("a", { devices: [16_000], residents }));
  const revision = { commit: "b".repeat(40), dirty: false, path: "." };
  return plan(fleet, observed, { base: { fleet: base, fleetDigest: "b", revision, observed } });
}

const rowsText = (document: PlanDocument): string[] =>
  document.declaration.changes.flatMap((change) => [
    `${change.exposes ? "! " : ""}${change.kind} ${change.id}: ${change.fields
      .map(({ key, from, to }) => `${key} ${from ?? "-"} -> ${to ?? "-"}`)
      .join(", ")}`,
    ...change.consequences.map((text) => `  ${text}`),
  ]);

/** What a branch does, in one change of the text, and what its reviewer is told. */
const CASES: readonly (readonly [what: string, after: string, rows: readonly string[]])[] = [
  [
    "an alias moves to a model on demand",
    BASE.replace('large = "big"', 'large = "small"'),
    [
      "changed aliases large:  big -> small",
      "  clients of large are answered by small, on demand: a request may wait for a load",
    ],
  ],
  [
    "an alias goes",
    BASE.replace('large = "big"', ""),
    ["removed aliases large:  big -> -", "  clients that ask for large get 404 (model_not_found)"],
  ],
  [
    "the gateway opens to the network",
    `${BASE}[gateway]\nlisten = "0.0.0.0:31313"\n`,
    [
      "! changed gateway: listen 127.0.0.1:31313 -> 0.0.0.0:31313",
      "  opens the endpoint to every machine that can reach this one, after a restart",
    ],
  ],
  [
    "another port on loopback is no exposure",
    `${BASE}[gateway]\nlisten = "127.0.0.1:8080"\n`,
    [
      "changed gateway: listen 127.0.0.1:31313 -> 127.0.0.1:8080",
      "  the endpoint moved: clients need the new address, after a restart",
    ],
  ],
  [
    "a key comes",
    `${BASE}[[keys]]\nid = "web"\nhash = "sha256:${"b".repeat(64)}"\n`,
    [
      "! added keys web: models - -> [*], role - -> client, window.kind - -> balance",
      "  whoever has its secret may use *, without a cap",
    ],
  ],
  [
    "a key goes",
    BASE.replace(KEY, ""),
    [
      "! removed keys ci: hard_cap 1000 -> -, models [b*] -> -, role client -> -, window.kind balance -> -",
      "  it was the last key: whoever reaches the gateway is served without one",
    ],
  ],
  [
    "a key gets another secret, and its hash is not shown",
    BASE.replace(HASH, "c".repeat(64)),
    [
      "changed keys ci: hash (not shown) -> (another)",
      "  the former secret is refused; its holders need the new one",
    ],
  ],
  [
    "a key gets a wider scope and no cap",
    BASE.replace('["b*"]\nhard_cap = 1000', '["b*", "small"]'),
    [
      "! changed keys ci: hard_cap 1000 -> -, models [b*] -> [b*, small]",
      "  it may use tokens without a cap",
      "  may use small too",
    ],
  ],
  [
    "a key gets a narrower scope",
    BASE.replace('["b*"]', '["big"]'),
    ["changed keys ci: models [b*] -> [big]", "  may use big too; may not use b* any more"].map((text) =>
      text.replace("may use big too; ", ""),
    ),
  ],
  [
    "a model on demand comes",
    BASE.replace("[[keys]]", '[[models]]\nid = "new"\nsource = "new.gguf"\nvram_mb = 10\n[[keys]]'),
    [
      "added models new: pinned_on - -> [], replicas - -> 0, source - -> new.gguf",
      "  on demand: the first request that names it loads it, and may wait for that",
    ],
  ],
  [
    "a model on demand goes",
    BASE.replace('[[models]]\nid = "small"\nsource = "small.gguf"\nvram_mb = 1000\n', ""),
    [
      "removed models small: pinned_on [] -> -, replicas 0 -> -, source small.gguf -> -",
      "  clients that ask for small get 404 (model_not_found)",
    ],
  ],
  [
    "a model on demand gets another name, limits, a price and a class",
    BASE.replace(
      'id = "small"',
      'id = "tiny"\nresidency_priority = 300\nlimit = { context = 512 }\ncost = { input = 0.5 }',
    ),
    [
      "renamed models tiny: cost.input - -> 0.5, cost.output - -> 0, limit.context - -> 512, residency_priority - -> 300",
      "  clients that ask for small get 404 (model_not_found), unless an alias keeps that name; loaded copies are loaded again",
      "  clients are told so in GET /v1/models",
      "  may displace models of class 300 and lower (before: 100)",
    ],
  ],
  [
    "a protection comes",
    BASE.replace("replicas = 1", "replicas = 1\nprotect = true"),
    ["changed models big: protect false -> true", "  apply takes it down with --allow-protected only"],
  ],
  [
    "another eviction policy",
    `${BASE}[eviction]\nstrategy = "cost"\n`,
    ["changed eviction: strategy lru -> cost", "  on-demand models give way by cost"],
  ],
  [
    "the guard against mass unloads is lowered",
    `${BASE}[gitops]\nmax_unload_percent = 100\n`,
    [
      "changed gitops: max_unload_percent 50 -> 100",
      "  a plan may take 100 % of what is loaded without consent",
    ],
  ],
];

describe("with --base every declared difference is a row with its consequence", () => {
  test.each(CASES)("%s", (_what, after, rows) => {
    const document = planOn(after);
    expect(rowsText(document)).toEqual(rows);
    expect(document.declaration.compared_with).toBe("base");
    expect(document.changes).toEqual([]);
    expect(verifyPlan(document).findings).toEqual([]);
    // Exit code 2 with --detailed-exitcode: what the gateway acts on is a change like any other.
    expect(leavesAsDeclared(document)).toBe(false);
    for (const shown of [printPlan(document, { colour: false }), printPlanMarkdown(document)]) {
      expect(shown).not.toMatch(/[abc]{64}|No changes|no changes/);
    }
  });

  test("as text: what opens something comes first and is marked", () => {
    const after = `${BASE.replace('large = "big"', 'large = "small"')}[gateway]\nlisten = "0.0.0.0:31313"\n`;
    expect(printPlan(planOn(after), { colour: false })).toMatchInlineSnapshot(`
      "No model is loaded or unloaded: what is loaded matches 0123456. 2 declared differences from the base.

      Declared otherwise than at bbbbbbb
        ~ [gateway]: listen 127.0.0.1:31313 -> 0.0.0.0:31313
            ! opens the endpoint to every machine that can reach this one, after a restart
        ~ alias large: big -> small
            clients of large are answered by small, on demand: a request may wait for a load
        The gateway acts on these when it reads the files again; apply loads and unloads models only.

      Plan: 0 to load, 0 to unload, 0 to replace, 1 unchanged, 2 declared differences."
    `);
  });

  test("as a comment", () => {
    const after = `${BASE.replace('large = "big"', 'large = "small"')}[gateway]\nlisten = "0.0.0.0:31313"\n`;
    expect(printPlanMarkdown(planOn(after))).toMatchInlineSnapshot(`
      "<!-- cortex-plan:home -->

      ### Plan for home: 2 declared differences (1 open more than before)

      No model is loaded or unloaded: what is loaded matches 0123456. 2 declared differences from the base.<br>
      **Plan: 0 to load, 0 to unload, 0 to replace, 1 unchanged, 2 declared differences.**

      #### Declared otherwise than at bbbbbbb

      - ± &#91;gateway&#93;: listen 127.0.0.1:31313 -&#62; 0.0.0.0:31313
        - **opens more than before:** opens the endpoint to every machine that can reach this one, after a restart
      - ± alias large: big -&#62; small
        - clients of large are answered by small, on demand: a request may wait for a load

      <sub>The gateway acts on these when it reads the files again; apply loads and unloads models only.</sub>

      <sub>plan 739550016ab0 · revision 0123456789ab · observation 5ffc54ce0b52 · \`cortex plan verify\` checks the saved plan</sub>
      "
    `);
  });
});

describe("without a base it is what the running gateway serves", () => {
  const gateway = "http://127.0.0.1:31313";
  const observed = observedFleet(
    observedNeuron("a", {
      devices: [16_000],
      residents: [residentModel({ id: "big", vramMb: 4000, specHash: declaredHash(fleetOf(BASE), "big") })],
    }),
  );
  const servedBy = (toml: string, overridden: readonly string[] = [], fleet = "home") => ({
    gateway,
    served: { fleet, declared: { ...declaredFleet(fleetOf(toml)), overridden: [...overridden] } },
    remark: null,
  });
  const open = `${BASE}[gateway]\nlisten = "0.0.0.0:31313"\n`;

  test("a gateway that was started before the files changed", () => {
    const document = plan(fleetOf(open), observed, { served: servedBy(BASE) });
    expect(rowsText(document)[0]).toBe("! changed gateway: listen 127.0.0.1:31313 -> 0.0.0.0:31313");
    expect(leavesAsDeclared(document)).toBe(false);
    expect(verifyPlan(document).findings).toEqual([]);
    expect(printPlan(document, { colour: false }).split("\n")[0]).toBe(
      "No model is loaded or unloaded: what is loaded matches 0123456. The gateway serves something else: 1 declared difference.",
    );
  });

  test("one that serves the files", () => {
    const document = plan(fleetOf(open), observed, { served: servedBy(open) });
    expect(document.declaration).toEqual({ compared_with: "gateway", gateway, remark: null, changes: [] });
    expect(leavesAsDeclared(document)).toBe(true);
  });

  test("what the environment of its machine decides is no difference, and said", () => {
    const document = plan(fleetOf(BASE), observed, { served: servedBy(open, ["gateway.listen"]) });
    expect(document.declaration.changes).toEqual([]);
    expect(document.declaration.remark).toBe("decided by the environment of the gateway: gateway.listen");
  });

  test("one of another fleet, and one that does not answer, are no reason for anything", () => {
    const foreign = plan(fleetOf(BASE), observed, { served: servedBy(open, [], "office") });
    expect(foreign.declaration.remark).toBe(`the gateway at ${gateway} serves another fleet, office`);
    const remark = `no gateway answers at ${gateway}`;
    const silent = plan(fleetOf(BASE), observed, { served: { gateway, served: undefined, remark } });
    expect(silent.declaration).toEqual({ compared_with: null, gateway, remark, changes: [] });
    expect(leavesAsDeclared(silent)).toBe(true);
    expect(printPlan(silent, { colour: false })).toContain(`were not compared: ${remark}.`);
  });

  test("a plan for one model is about that model and its aliases", () => {
    const document = plan(fleetOf(open.replace('large = "big"', 'large = "small"')), observed, {
      served: servedBy(BASE),
      targets: ["small"],
    });
    expect(document.declaration.changes.map(({ id }) => id)).toEqual(["aliases large"]);
  });
});
