import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { fleetOfOrigin } from "../../src/fleet/fleet-owner.ts";
import { loadFleet, type LoadedFleet } from "../../src/repository/io/load-fleet.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";

const FLEET =
  '[fleet]\nname = "home"\n[[neurons]]\nname = "a"\nendpoint = "http://a:1"\n[[models]]\nid = "m"\n';

async function repositoryAt(directory: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    await mkdir(dirname(join(directory, file)), { recursive: true });
    await writeFile(join(directory, file), FLEET);
  }
  await git(directory, "init", "--quiet", "--initial-branch=main");
  await git(directory, "add", "--all");
  await git(directory, "commit", "--quiet", "--message", `first of ${directory}`);
}

/** Whether what `one` loads is `other`'s own. */
function isSame(one: LoadedFleet, other: LoadedFleet): boolean {
  const repository = [...(one.revision.repository ?? [])];
  const owner = { name: "home", repository: other.revision.repository };
  return fleetOfOrigin({ fleet: "home", repository }, owner) === "home";
}

test("a fleet is the same in every clone, at every path and host, and another one in another repository", async () => {
  await using directory = await temporaryDirectory();
  const at = (path: string): string => join(directory.path, path);
  const load = (path: string, ref?: string) =>
    loadFleet({
      path,
      ref,
      inherited: { PATH: process.env["PATH"], HOME: "/nonexistent", CORTEX_DATA_DIR: at("data") },
    });
  await repositoryAt(at("host/ours"), ["fleet/fleet.toml"]);
  await repositoryAt(at("host/theirs"), ["fleet/fleet.toml", "lab/fleet.toml"]);
  await git(directory.path, "clone", "--quiet", at("host/ours"), at("clone"));
  await git(directory.path, "clone", "--quiet", "--depth=1", `file://${at("host/ours")}`, at("shallow"));

  const ours = await load(at("clone/fleet"));
  const again = [
    await load(at("clone/fleet/fleet.toml")),
    await load(at("clone")),
    await load(at("clone/fleet"), "main"),
    await load(at("shallow/fleet")),
    await load(`git+file://${at("host/ours")}#main:fleet`),
  ];
  expect(again.map((other) => [isSame(ours, other), isSame(other, ours)])).toEqual(
    again.map(() => [true, true]),
  );

  await rename(at("host/ours"), at("host/moved"));
  await git(at("clone"), "remote", "set-url", "origin", at("host/moved"));
  const moved = await load(at("clone/fleet"));
  expect([isSame(ours, moved), isSame(moved, ours)]).toEqual([true, true]);

  const [theirs, lab] = [await load(at("host/theirs/fleet")), await load(at("host/theirs/lab"))];
  expect([isSame(ours, theirs), isSame(theirs, ours), isSame(theirs, lab)]).toEqual([false, false, false]);
});
