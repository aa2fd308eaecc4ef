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

const holding = (origin: "revision" | "manual"): ObservedFleet =>
  observedFleet(
    observedNeuron("a", {
      devices: [8000],
      residents: [residentModel({ id: "acme/guarded", vramMb: 10, origin })],
    }),
  );

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
    ["unless its protection was ended first", [PROTECTED, UNPROTECTED, GONE], GONE, []],
    ["never protected", [UNPROTECTED, GONE], GONE, []],
    ["still there", [PROTECTED], PROTECTED, []],
  ])("%s", async (...row) => {
    const [, commits, workTree, expected] = row;
    await using place = await temporaryDirectory();
    const found = await history(place.path, commits, workTree);
    expect([...found]).toEqual(expected.map((id) => [id, "protected"]));
  });

  test("what a person loaded is not asked about, and outside of git nothing is known", async () => {
    await using place = await temporaryDirectory();
    await history(place.path, [PROTECTED, GONE], GONE);
    expect((await ask(place.path, holding("manual"))).size).toBe(0);
    await rm(join(place.path, ".git"), { recursive: true });
    expect((await ask(place.path)).size).toBe(0);
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
