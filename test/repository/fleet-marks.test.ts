import { expect, test } from "vitest";
import { directoryOfFleet, fleetMarks, plainUrl } from "../../src/repository/fleet-marks.ts";

test.each([
  "https://git.example/team/fleet.git",
  "https://user:secret@git.example/team/fleet",
  "https://git.example:443/team/fleet.git/",
  "ssh://git@git.example:22/team/fleet.git",
  "git@git.example:team/fleet.git",
  "GIT.example:team/fleet",
])("%s is one repository however it is reached", (url) => {
  expect(plainUrl(url)).toBe("git.example/team/fleet");
});

const facts = { firstCommit: "a".repeat(40), remoteUrl: "git@git.example:team/fleet.git", path: "" };

test("the first commit and the remote each make a mark, and neither can be read out of it", () => {
  const marks = fleetMarks(facts);
  expect(marks.map((mark) => mark.replace(/[0-9a-f]{12}$/, "…"))).toEqual(["root-…", "remote-…"]);
  expect(fleetMarks({ ...facts, firstCommit: undefined })).toEqual(marks.slice(1));
  expect(fleetMarks({ ...facts, remoteUrl: "" })).toEqual(marks.slice(0, 1));
});

test("two fleets of one repository have no mark in common", () => {
  const [here, there] = [fleetMarks(facts), fleetMarks({ ...facts, path: "lab" })];
  expect(here.filter((mark) => there.includes(mark))).toEqual([]);
  expect(fleetMarks({ ...facts, path: "lab/" })).toEqual(there);
});

const file = (path: string, text = "") => ({ path, text });
const lab = [file("models/m.toml"), file("fleet.toml", '# ours\n[fleet]\nname = "lab"\n')];

test("a fleet is in the directory of its own table, whichever of its paths was named", () => {
  expect(directoryOfFleet(lab, { shownPath: ".", pathInTree: "fleets/lab" })).toBe("fleets/lab");
  const above = lab.map(({ path, text }) => file(`fleets/lab/${path}`, text));
  expect(directoryOfFleet(above, { shownPath: ".", pathInTree: "" })).toBe("fleets/lab");
  const alone = [file("/srv/fleets/lab/fleet.toml", "[fleet]")];
  const named = { shownPath: "/srv/fleets/lab/fleet.toml", pathInTree: "fleets/lab/fleet.toml" };
  expect(directoryOfFleet(alone, named)).toBe("fleets/lab");
  expect(directoryOfFleet(lab, { shownPath: "", pathInTree: "" })).toBe("");
});
