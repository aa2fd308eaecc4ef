import { expect, test } from "vitest";
import { revisionText } from "../../../src/cli/print/declaration-words.ts";
import { isSettled, leavesAsDeclared } from "../../../src/protocol/plan-settled.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { printPlanMarkdown } from "../../../src/cli/print/print-plan-markdown.ts";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  silentNeuron,
} from "../../controller/observed-fleet-builders.ts";

const plain = { colour: false };

test("verdict first, every change with its reason, memory, what is not placed, summary last", () => {
  const fleet = fleetFromToml(
    '[[models]]\nid = "big"\nreplicas = 1\nvram_mb = 99_000\n[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4096\n[[models]]\nid = "n"\nreplicas = 1\nvram_mb = 2048\nprotect = true\n[[models]]\nid = "far"\nreplicas = 1\npinned_on = ["c"]\n',
    ["a", ["b", "drain = true"], "c"],
  );
  const residents = [
    residentModel({ id: "n", vramMb: 1024 }),
    residentModel({ id: "stray", vramMb: 512 }),
    residentModel({ id: "guest", vramMb: 100, origin: "manual" }),
  ];
  const observed = observedFleet(
    observedNeuron("a", { devices: [16_384], residents }),
    observedNeuron("b", { devices: [8192] }),
    silentNeuron("c"),
  );
  expect(printPlan(plan(fleet, observed), plain)).toMatchInlineSnapshot(`
    "With these changes the fleet home would come closer to 0123456; still open: 2 copies unknown.

      + load   - unload   ~ replace

      + load m on a, device 0, ~4.0 GiB
          (replicas = 1, and it is not loaded; c may hold a copy and does not answer)
          here: the only place: 1 other neuron does not qualify, 1 does not answer
          takes about 11.2 s (by size, a guess)
      - unload stray on a, device 0, 512 MiB
          (no [[models]] block declares it)
      ~ replace n on a, device 0, 1.0 GiB -> ~2.0 GiB
          (its settings changed; protect = true)
          takes about 8.1 s (by size, a guess)
          ! n is down about 8.1 s: a neuron holds one copy of a model, and no other copy serves meanwhile

    Memory
      a 0  card 0 (simulated)  1.6 GiB -> 6.1 GiB of 16.0 GiB

    Not known
      ? big: 1 copy may be on c, which does not answer (drain = true gives such a neuron up)
      ? far: 1 copy may be on c, which does not answer (drain = true gives such a neuron up)

    Do not answer (left untouched)
      ! c (http://c:13131): connection refused
        help: is it running? Start it on c: cortex neuron --host 0.0.0.0 --token-file neuron.token

    Left alone
      guest on a: loaded by hand (no [[models]] block declares it)

    If one neuron dies
      a: m, n would be lost

    Placement: optimal, proved by exact search.
    Time: about 20.3 s in 3 waves (confidence: low).
    Downtime: n about 8.1 s.
    Guard: 1 protected copy is taken down; apply needs --allow-protected.
    Plan: 1 to load, 1 to unload, 1 to replace, 0 unchanged, 2 unknown."
  `);
});

test("nothing to do is one line", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a"]);
  const resident = residentModel({ id: "m", vramMb: 10, specHash: declaredHash(fleet, "m") });
  const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [100], residents: [resident] })));
  expect(printPlan(document, plain)).toBe("No changes. The fleet matches 0123456.");
});

test("what a silent neuron holds is nobody's knowledge", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a", "b"]);
  const resident = residentModel({ id: "m", vramMb: 10, specHash: declaredHash(fleet, "m") });
  const seen = observedNeuron("a", { devices: [100], residents: [resident] });
  expect(printPlan(plan(fleet, observedFleet(seen, silentNeuron("b"))), plain)).toMatch(
    /^No changes\. The fleet matches 0123456, as far as the neurons that answer can tell\.\n/,
  );
});

test("nothing possible is not nothing to do", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 200\n', ["a"]);
  const text = printPlan(plan(fleet, observedFleet(observedNeuron("a", { devices: [100] }))), plain);
  expect(text).toMatch(
    /^Nothing can be changed now, and the fleet does not match 0123456; still open: 1 copy without a place\./,
  );
  expect(text).toContain("a: needs 200 MB on one device, but the largest has 100 MB when empty");
});

test("colour changes nothing but the colour", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a"]);
  const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [100] })));
  const coloured = printPlan(document, { colour: true });
  expect(coloured).toContain("\u001B[32m+\u001B[39m");
  // oxlint-disable-next-line no-control-regex -- the escape is what is looked for
  expect(coloured.replaceAll(/\u001B\[\d+m/g, "")).toBe(printPlan(document, plain));
});

test.each([
  [{ commit: "0123456789", dirty: false, path: "." }, "0123456"],
  [{ commit: "0123456789", dirty: true, path: "." }, "0123456 (dirty)"],
  [{ commit: null, dirty: false, path: "fleet" }, "fleet (not in git)"],
])("revision %j", (revision, text) => {
  expect(revisionText(revision)).toBe(text);
});

test("of a fleet of which no neuron answers nothing is known, and a new user is told how to start one", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nvram_mb = 100\n', ["a"]);
  const document = plan(fleet, observedFleet(silentNeuron("a")));
  expect([document.complete, isSettled(document), leavesAsDeclared(document)]).toEqual([false, false, false]);
  expect(verifyPlan(document).findings).toEqual([]);
  const text = printPlan(document, { colour: false });
  expect(text.split("\n")[0]).toBe(
    "Nothing can be changed now, and whether the fleet matches 0123456 is not known; still open: its neuron does not answer.",
  );
  expect(text).toContain("Start it on a: cortex neuron --host 0.0.0.0 --token-file neuron.token");
  expect(printPlanMarkdown(document)).toContain("cortex neuron --host 0.0.0.0");
});

test.each([
  { fetched: 4_294_967_296, takes: "takes about 12.2 s (by size, a guess), once 4.0 GiB are fetched" },
  { fetched: undefined, takes: "takes about 12.2 s (by size, a guess), fetching not counted" },
  { fetched: 0, takes: "takes about 12.2 s (by size, a guess)" },
])(
  "times are those of the loads: that $fetched bytes are fetched before is said and not counted",
  ({ fetched, takes }) => {
    const settings = 'source = "hf:acme/m"\nreplicas = 1\nvram_mb = 4096\ncontext = 4096';
    const fleet = fleetFromToml(`[[models]]\nid = "m"\n${settings}\n`, ["a"]);
    const fact = {
      model_id: "m",
      spec_hash: declaredHash(fleet, "m"),
      source: "metadata" as const,
      vram_mb: 4096,
    };
    const told = fetched === undefined ? fact : { ...fact, fetch_bytes: fetched };
    const neuron = observedNeuron("a", {
      devices: [8192],
      residents: [residentModel({ id: "m", vramMb: 2048 })],
    });
    const observed = observedFleet({ ...neuron, discovery: { ...neuron.discovery, facts: [told] } });
    const text = printPlan(plan(fleet, observed), plain);
    const isWhole = fetched === 0;
    expect(text).toContain(
      isWhole ? "Time: about 12.2 s.\n" : "Time: at least 12.2 s, fetching not counted.\n",
    );
    expect(text).toContain(`m is down ${isWhole ? "about" : "at least"} 12.2 s`);
    expect(text.split("\n").map((line) => line.trim())).toContain(takes);
    expect(printPlanMarkdown(plan(fleet, observed))).toContain(takes.replace("takes ", ""));
  },
);

test("where the size of a model is not known, that it fits is an assumption", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\n', ["a"]);
  const text = printPlan(plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] }))), {
    colour: false,
  });
  expect(text).toContain(
    "Placement: every declared copy has a place, if m fits: nothing tells how much memory it takes (`vram_mb` would).",
  );
});

const models = (...ids: string[]): string =>
  ids.map((id) => `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = 1000\n`).join("");

const modelCalled = (id: string) =>
  fleetFromToml(`[[models]]\nid = "${id}"\nsource = "m.gguf"\nreplicas = 1\nvram_mb = 1000\n`, ["a"]);

const planOf = (...ids: string[]): string =>
  printPlan(
    plan(fleetFromToml(models(...ids), ["a"]), observedFleet(observedNeuron("a", { devices: [8000] }))),
    { colour: false },
  );

test("of two changes the rows say all: neither waves nor confidence nor a critical path", () => {
  expect(planOf("m", "n")).not.toMatch(/wave|confidence|Critical/);
  expect(planOf("m", "n", "o")).toMatch(/wave.*confidence/);
});

test("a model that has another name is neither a loss nor an arrival", () => {
  const [before, after] = [modelCalled("old"), modelCalled("new")];
  const residents = [residentModel({ id: "old", vramMb: 1000, specHash: declaredHash(before, "old") })];
  const observed = observedFleet(observedNeuron("a", { devices: [8000], residents }));
  const revision = { commit: null, dirty: false, path: "." };
  const document = plan(after, observed, { base: { fleet: before, fleetDigest: "b", revision, observed } });
  const details = Object.fromEntries(document.changes.map(({ id, detail }) => [id, detail]));
  expect(details["load new@a"]).toMatch(/; renamed from old$/);
  expect(details["unload old@a"]).toMatch(/; renamed to new$/);
  expect(verifyPlan(document).findings).toEqual([]);
});
