import { expect, test } from "vitest";
import { fleetOfOrigin } from "../../src/fleet/fleet-owner.ts";
import type { LoadOrigin } from "../../src/protocol/neuron-api.ts";

const home = (...repository: string[]): LoadOrigin => ({ kind: "revision", fleet: "home", repository });
const [root, otherRoot] = ["root-aaaaaaaaaaaa", "root-bbbbbbbbbbbb"];
const [remote, otherRemote] = ["remote-aaaaaaaaaaaa", "remote-bbbbbbbbbbbb"];

test.each<[string, LoadOrigin, readonly string[] | undefined, string | undefined]>([
  ["another fleet", { kind: "revision", fleet: "lab", repository: [root] }, [otherRoot], "lab"],
  ["nobody says", { kind: "revision" }, [root], undefined],
  ["loaded without marks", { kind: "revision", fleet: "home" }, [root], "home"],
  ["the same repository", home(root, remote), [root, remote], "home"],
  ["moved to another host", home(root, remote), [root, otherRemote], "home"],
  ["a shallow clone of it", home(root, remote), [remote], "home"],
  ["another repository", home(root, remote), [otherRoot, otherRemote], `home#${root}`],
  ["a shallow clone of another one", home(remote), [otherRemote], `home#${remote}`],
  ["nothing to compare", home(root), [remote], `home#${root}`],
  ["read outside of git", home(root), undefined, `home#${root}`],
])("%s", (...[, origin, ours, fleet]) => {
  expect(fleetOfOrigin(origin, { name: "home", repository: ours })).toBe(fleet);
});
