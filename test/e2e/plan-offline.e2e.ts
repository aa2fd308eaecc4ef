import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { planDocumentSchema } from "../../src/protocol/plan-document.ts";
import { runCortex } from "../support/cortex-process.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";

const fixture = (name: string, file: string): string =>
  fileURLToPath(new URL(`../fixtures/plans/${name}/${file}`, import.meta.url));

/** A fleet repository on disk with the files of a fixture, committed. */
async function repository(path: string, name: string): Promise<string> {
  const directory = join(path, "fleet");
  await mkdir(directory);
  await copyFile(fixture(name, "fleet.toml"), join(directory, "fleet.toml"));
  await git(directory, "init", "--quiet", "--initial-branch=main");
  await git(directory, "add", "--all");
  await git(directory, "commit", "--quiet", "--message", "fleet");
  return directory;
}

test("a plan is made on a snapshot, saved, verified, and refused once it was edited", async () => {
  await using place = await temporaryDirectory();
  const fleet = await repository(place.path, "drained");
  const saved = join(place.path, "plan.json");
  const against = ["--against", fixture("drained", "snapshot.json")];
  const made = await runCortex([
    "plan",
    "--config",
    fleet,
    ...against,
    "--out",
    saved,
    "--detailed-exitcode",
  ]);
  expect(made.code, made.stderr).toBe(2);
  expect(made.stdout).toContain("the fleet itself was not asked");
  expect(made.stdout.trimEnd().split("\n").at(-1)).toBe(
    "Plan: 2 to load, 2 to unload, 0 to replace, 4 unchanged.",
  );

  const shown = await runCortex(["plan", "show", saved]);
  expect([shown.code, shown.stdout, shown.stderr]).toEqual([0, made.stdout, ""]);

  const verified = await runCortex(["plan", "verify", saved, ...against]);
  expect([verified.code, verified.stderr]).toEqual([0, ""]);
  expect(verified.stdout).toMatch(/^Sound\. \d+ facts about 4 changes checked against the snapshot\./);

  const other = await runCortex([
    "plan",
    "verify",
    saved,
    "--against",
    fixture("empty", "snapshot.json"),
    "--json",
  ]);
  expect(other.code).toBe(1);
  expect(JSON.parse(other.stdout)).toMatchObject({ sound: false });

  const plan = planDocumentSchema.parse(JSON.parse(await readFile(saved, "utf8")));
  await writeFile(saved, JSON.stringify({ ...plan, changes: plan.changes.slice(1) }));
  const edited = await runCortex(["plan", "verify", saved]);
  expect(edited.code).toBe(1);
  expect(edited.stdout).toContain("[digest] document: was changed after it was written");
});

test("the comment of a pull request tells apart what the branch does and what is pending", async () => {
  await using place = await temporaryDirectory();
  const fleet = await repository(place.path, "drained");
  const file = join(fleet, "fleet.toml");
  const text = await readFile(file, "utf8");
  await writeFile(
    file,
    `${text}\n[[models]]\nid = "acme/new"\nreplicas = 1\nvram_mb = 300\npinned_on = ["benjy"]\n`,
  );
  const onSnapshot = ["--config", fleet, "--against", fixture("drained", "snapshot.json")];
  const comment = await runCortex(["plan", "--base", "HEAD", "--markdown", ...onSnapshot]);
  expect(comment.code, comment.stderr).toBe(0);
  expect(comment.stdout.startsWith("<!-- cortex-plan:home -->\n")).toBe(true);
  expect(comment.stdout).toContain("1 of 5 changes come from this branch; 4 are pending");
});

test("a fleet that is not as declared is not 0, even when nothing can be changed", async () => {
  const made = await runCortex([
    "plan",
    "--path",
    fixture("unplaceable", "fleet.toml"),
    "--against",
    fixture("unplaceable", "snapshot.json"),
    "--detailed-exitcode",
  ]);
  expect([made.code, made.stderr]).toEqual([2, ""]);
  expect(made.stdout).toContain("Nothing can be changed now");
});

test("why: the reason, the other neurons, and for an unknown name the likely one", async () => {
  const onFixture = [
    "--config",
    fixture("unplaceable", "fleet.toml"),
    "--against",
    fixture("unplaceable", "snapshot.json"),
  ];
  const known = await runCortex(["why", "meta/Llama-3.3-70B", "--on", "beast", ...onFixture]);
  expect(known.code, known.stderr).toBe(0);
  expect(known.stdout).toContain("meta/Llama-3.3-70B: its copy has no known place");
  expect(known.stdout).toContain("What was asked of it\n  ok pinned_on: no pins\n");
  expect(known.stdout).toContain("What would help, cheapest first");
  const unknown = await runCortex(["why", "meta/Llama-3.3-7B", ...onFixture]);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain("cortex why meta/Llama-3.3-70B");
});

test("a snapshot of another fleet, of nobody, or of nonsense is refused", async () => {
  await using place = await temporaryDirectory();
  const fleet = await repository(place.path, "steady");
  const nobody = await runCortex(["snapshot", "--config", fleet, "--out", join(place.path, "s.json")]);
  expect(nobody.code).toBe(69);
  expect(nobody.stderr).toContain("no neuron answers");

  const snapshot = JSON.parse(await readFile(fixture("steady", "snapshot.json"), "utf8")) as object;
  const path = join(place.path, "other.json");
  await writeFile(path, JSON.stringify({ ...snapshot, fleet: "elsewhere" }));
  const foreign = await runCortex(["plan", "--config", fleet, "--against", path]);
  expect([foreign.code, foreign.stdout]).toEqual([1, ""]);
  expect(foreign.stderr).toContain("is a snapshot of the fleet elsewhere");
  await writeFile(path, "[]");
  expect((await runCortex(["plan", "--config", fleet, "--against", path])).stderr).toContain(
    "[snapshot_invalid]",
  );
});

test("a branch that moves an alias, opens the gateway and adds a key changes something", async () => {
  await using place = await temporaryDirectory();
  const fleet = await repository(place.path, "steady");
  const file = join(fleet, "fleet.toml");
  const text = await readFile(file, "utf8");
  const hash = "5".repeat(64);
  const added = `\n[aliases]\n"home/large" = "Qwen/Qwen3-8B"\n[gateway]\nlisten = "0.0.0.0:31313"\n[[keys]]\nid = "ci"\nhash = "sha256:${hash}"\n`;
  await writeFile(file, text + added);
  const saved = join(place.path, "plan.json");
  const onSnapshot = ["--config", fleet, "--against", fixture("steady", "snapshot.json")];
  const made = await runCortex([
    "plan",
    "--base",
    "HEAD",
    "--detailed-exitcode",
    "--out",
    saved,
    ...onSnapshot,
  ]);
  expect(made.code, made.stderr).toBe(2);
  expect(made.stdout).toContain(
    "! opens the endpoint to every machine that can reach this one, after a restart",
  );
  expect(made.stdout).toContain("+ alias home/large: Qwen/Qwen3-8B");
  expect(made.stdout).toContain("! whoever has its secret may use *, without a cap");
  expect(made.stdout.trimEnd().split("\n").at(-1)).toMatch(/, 3 declared differences\.$/);
  expect(made.stdout).not.toContain(hash);
  expect(await readFile(saved, "utf8")).not.toContain(hash);
  expect((await runCortex(["plan", "verify", saved])).code).toBe(0);
  const applied = await runCortex(["apply", saved, "--yes"]);
  expect([applied.code, applied.stderr]).toEqual([0, ""]);
});
