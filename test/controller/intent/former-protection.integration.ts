import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { formerlyProtected } from "../../../src/controller/intent/io/read-former-protection.ts";
import { openHistory } from "../../../src/repository/io/fleet-history.ts";
import { loadFleet } from "../../../src/repository/io/load-fleet.ts";
import type { ObservedFleet } from "../../../src/controller/observe/observed-fleet.ts";
import type { FormerProtections } from "../../../src/controller/intent/former-protections.ts";
import { commitFleet, fleetText, git, temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { observedFleet, observedNeuron, residentModel } from "../observed-fleet-builders.ts";

const text = (models: string): string =>
  fleetText({ gatewayPort: 1, metricsPort: 2, neurons: { a: 13_131 }, models });
const block = (line = ""): string => `[[models]]\nid = "acme/guarded"\n${line}\n`;
const PROTECTED = text(block("protect = true"));
const UNPROTECTED = text(block());
const GONE = text('[[models]]\nid = "acme/other"\n');

/** The block is there, as a remark. */
const remarks = (line = ""): string => `${GONE}${block(line).replaceAll(/^(?=.)/gm, "# ")}`;
const COMMENTED = remarks("protect = true");
const UNPROTECTED_COMMENTED = remarks();
const MENTIONED = `${GONE}# once: id = "acme/guarded"\n`;

const holding = (origin: "revision" | "manual"): ObservedFleet =>
  observedFleet(
    observedNeuron("a", {
      devices: [8000],
      residents: [residentModel({ id: "acme/guarded", vramMb: 10, origin })],
    }),
  );

/** Loaded from what `ref` names. */
const loadedFrom = (ref: string): ObservedFleet => {
  const [neuron] = holding("revision").neurons;
  if (neuron?.reachable !== true) throw new Error("the neuron of this test answers");
  const models = neuron.models.map((model) => ({ ...model, origin: { kind: "revision" as const, ref } }));
  return observedFleet({ ...neuron, models });
};

const odd = (whole: string): string => whole.replaceAll("acme/guarded", "acme/g.[u]*a^$");

/** Commits the texts one after another, then leaves the last one in the work tree. */
async function history(
  path: string,
  commits: readonly string[],
  workTree: string,
): Promise<FormerProtections> {
  const [first = "", ...later] = commits;
  await commitFleet(path, first);
  for (const next of later) {
    await writeFile(join(path, "fleet.toml"), next);
    await git(path, "commit", "--quiet", "--all", "--message", "next");
  }
  await writeFile(join(path, "fleet.toml"), workTree);
  return ask(path);
}

async function ask(path: string, observed = holding("revision")): Promise<FormerProtections> {
  const options = { path, inherited: process.env };
  return formerlyProtected(await loadFleet(options), observed, () => openHistory(options));
}

describe("a block that is gone keeps its protection", () => {
  test.each([
    ["deleted and not committed", [PROTECTED], GONE, ["acme/guarded"]],
    ["deleted in the last commit", [PROTECTED, GONE], GONE, ["acme/guarded"]],
    [
      "deleted some commits ago",
      [PROTECTED, GONE, `${GONE}# more`, `${GONE}# and more`],
      GONE,
      ["acme/guarded"],
    ],
    ["commented out", [PROTECTED, COMMENTED], COMMENTED, ["acme/guarded"]],
    [
      "commented out, long after it was loaded unprotected",
      [UNPROTECTED, PROTECTED, COMMENTED],
      COMMENTED,
      ["acme/guarded"],
    ],
    ["removed, while its id stays in the file", [PROTECTED, MENTIONED], MENTIONED, ["acme/guarded"]],
    ["unless its protection was ended first", [PROTECTED, UNPROTECTED, GONE], GONE, []],
    [
      "unless its protection was ended first, and it was commented out",
      [PROTECTED, UNPROTECTED, UNPROTECTED_COMMENTED],
      UNPROTECTED_COMMENTED,
      [],
    ],
    ["never protected", [UNPROTECTED, GONE], GONE, []],
    ["still there", [PROTECTED], PROTECTED, []],
  ])("%s", async (...row) => {
    const [, commits, workTree, expected] = row;
    await using place = await temporaryDirectory();
    const found = await history(place.path, commits, workTree);
    expect([...found]).toEqual(expected.map((id) => [id, "protected"]));
  });

  test("what a person loaded is not asked about; outside of git, what a commit loaded may be protected", async () => {
    await using place = await temporaryDirectory();
    await history(place.path, [PROTECTED, GONE], GONE);
    expect((await ask(place.path, holding("manual"))).size).toBe(0);
    await rm(join(place.path, ".git"), { recursive: true });
    const unknown = [["acme/guarded", "history_unreadable"]];
    expect([...(await ask(place.path, loadedFrom("a".repeat(40))))]).toEqual(unknown);
    expect((await ask(place.path, holding("manual"))).size).toBe(0);
  });

  test("files that were never in git have no such memory to lose", async () => {
    await using place = await temporaryDirectory();
    await writeFile(join(place.path, "fleet.toml"), GONE);
    expect((await ask(place.path, loadedFrom("sha256:0123456789ab"))).size).toBe(0);
  });

  test("where too many commits name it since, an older commit is not believed", async () => {
    await using place = await temporaryDirectory();
    const later = Array.from({ length: 25 }, (_, index) => `${MENTIONED}# acme/guarded ${index}\n`);
    await history(place.path, [UNPROTECTED, PROTECTED, ...later], GONE);
    const first = await git(place.path, "rev-list", "--max-parents=0", "HEAD");
    expect([...(await ask(place.path, loadedFrom(first.trim())))]).toEqual([
      ["acme/guarded", "history_unreadable"],
    ]);
  });

  test("an id is looked for as it is written, not as a pattern", async () => {
    await using place = await temporaryDirectory();
    const fleet = observedFleet(
      observedNeuron("a", {
        devices: [8000],
        residents: [residentModel({ id: "acme/g.[u]*a^$", vramMb: 10, origin: "revision" })],
      }),
    );
    await history(place.path, [odd(PROTECTED), GONE], GONE);
    expect([...(await ask(place.path, fleet))]).toEqual([["acme/g.[u]*a^$", "protected"]]);
  });

  test("a clone without its history does not know, and so must not take it down unasked", async () => {
    await using place = await temporaryDirectory();
    const whole = join(place.path, "whole");
    await mkdir(whole);
    await history(whole, [PROTECTED, GONE], GONE);
    await git(place.path, "clone", "--quiet", "--depth=1", `file://${whole}`, "shallow");
    expect([...(await ask(join(place.path, "shallow")))]).toEqual([["acme/guarded", "history_cut_off"]]);
    await git(place.path, "clone", "--quiet", `file://${whole}`, "full");
    expect([...(await ask(join(place.path, "full")))]).toEqual([["acme/guarded", "protected"]]);
  });

  test("a fleet that is read from a repository has the same memory", async () => {
    await using place = await temporaryDirectory();
    const { path } = place;
    await history(path, [PROTECTED, GONE], GONE);
    const inherited = { ...process.env, CORTEX_DATA_DIR: join(path, "data") };
    const options = { path: `git+file://${path}#main`, inherited };
    const found = await formerlyProtected(await loadFleet(options), holding("revision"), () =>
      openHistory(options),
    );
    expect([...found]).toEqual([["acme/guarded", "protected"]]);
  });

  test("a commit that cannot be read any more is no proof that nothing was protected", async () => {
    await using place = await temporaryDirectory();
    const broken = PROTECTED.replace("protect = true", 'protect = true\nno_such_key = "x"');
    expect([...(await history(place.path, [broken, GONE], GONE))]).toEqual([
      ["acme/guarded", "history_unreadable"],
    ]);
  });

  test("nor is one of which a part lies in a submodule", async () => {
    await using directory = await temporaryDirectory();
    const commit = await commitFleet(directory.path, PROTECTED);
    await git(directory.path, "update-index", "--add", "--cacheinfo", `160000,${commit},parts`);
    await git(directory.path, "commit", "--quiet", "--message", "parts");
    await writeFile(join(directory.path, "fleet.toml"), GONE);
    await git(directory.path, "rm", "--quiet", "--cached", "parts");
    await git(directory.path, "commit", "--quiet", "--all", "--message", "gone");
    expect([...(await ask(directory.path))]).toEqual([["acme/guarded", "history_unreadable"]]);
  });

  test("nor is one that had the fleet at another place", async () => {
    await using place = await temporaryDirectory();
    const old = join(place.path, "old");
    await mkdir(old);
    await writeFile(join(old, "fleet.toml"), PROTECTED);
    await commitFleet(place.path, "");
    const loadedFrom = await git(place.path, "rev-parse", "HEAD");
    await mkdir(join(place.path, "new"));
    await git(place.path, "mv", "old/fleet.toml", "new/fleet.toml");
    await writeFile(join(place.path, "new/fleet.toml"), GONE);
    await git(place.path, "commit", "--quiet", "--all", "--message", "moved");
    const resident = {
      ...residentModel({ id: "acme/guarded", vramMb: 10 }),
      origin: { kind: "revision" as const, ref: loadedFrom },
    };
    const observed = observedFleet({ ...observedNeuron("a", { devices: [8000] }), models: [resident] });
    const found = await ask(join(place.path, "new"), observed);
    expect([...found]).toEqual([["acme/guarded", "history_unreadable"]]);
  });
});
