import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A package of which some file is inside what is built. */
export interface ThirdParty {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Its own words about who may use it; empty where it comes without. */
  readonly notice: string;
}

/** The packages that the files at these paths come from, in the order of their names. Throws where one names no license. */
export function thirdParties(files: readonly string[]): readonly ThirdParty[] {
  const places = new Set(files.flatMap((file) => packageOf(file) ?? []));
  const parties = new Map(
    [...places].map(thirdParty).map((party) => [`${party.name}@${party.version}`, party]),
  );
  return [...parties].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, party]) => party);
}

/** The folder of the package: below the last `node_modules`, one level or two. */
function packageOf(file: string): string | undefined {
  const [place] = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file.replaceAll("\0", "")) ?? [];
  return place;
}

function thirdParty(place: string): ThirdParty {
  const manifest = JSON.parse(readFileSync(join(place, "package.json"), "utf8")) as Readonly<
    Record<string, unknown>
  >;
  const { name, version, license } = manifest;
  if (typeof name !== "string" || typeof version !== "string")
    throw new Error(`${place} has no name or version`);
  if (typeof license !== "string") throw new Error(`${name} names no license, and must not be built in`);
  return { name, version, license, notice: noticeOf(place) };
}

const noticeOf = (place: string): string =>
  globSync(["LICEN[CS]E*", "licen[cs]e*", "NOTICE*"], { cwd: place })
    .toSorted()
    .map((file) => readFileSync(join(place, file), "utf8").trim())
    .join("\n\n");

/** One text with what each of them asks to be passed on. */
export function thirdPartyNotices(parties: readonly ThirdParty[]): string {
  const parts = parties.map(
    ({ name, version, license, notice }) =>
      `${name} ${version} (${license})\n\n${notice === "" ? "(comes without a text of its own)" : notice}\n`,
  );
  return `What is built into this program comes from these packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
