import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isRecord, parseJson } from "../core/json.ts";
import { present } from "../core/present.ts";

/** The package's own directory; the same from `src` and from `dist`, which lie side by side. */
const packageDirectory = new URL("../../", import.meta.url);

/** Models that ship with cortex: the last place a model store name is looked for. */
export const shippedModelsDirectory = (): string => fileURLToPath(new URL("assets/demo/", packageDirectory));

/** Templates of `cortex init`. */
export const initTemplatesDirectory = (): string => fileURLToPath(new URL("assets/init/", packageDirectory));

/** The worker program that a neuron starts; `.ts` from source, `.js` from dist. */
export const workerEntryFile = (): string => programFile("worker/io/worker-main");

/** The worker program for a model that an external engine holds. */
export const externalWorkerEntryFile = (): string => programFile("worker/io/external-main");

/** The worker program for a model that a script answers for. */
export const scriptedWorkerEntryFile = (): string => programFile("worker/io/scripted-main");

function programFile(path: string): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`../${path}.${extension}`, import.meta.url));
}

/** Version of this package, from its package.json. */
export const packageVersion = (): string =>
  present(textOf(manifest()["version"]), "the version in package.json");

/** The version of a dependency that this package pins; null when it does not depend on it. */
export function dependencyVersion(name: string): string | null {
  const { dependencies } = manifest();
  return isRecord(dependencies) ? (textOf(dependencies[name]) ?? null) : null;
}

function manifest(): Readonly<Record<string, unknown>> {
  const parsed = parseJson(readFileSync(new URL("package.json", packageDirectory), "utf8"));
  return present(isRecord(parsed) ? parsed : undefined, "the object in package.json");
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Commit this build was made from, as `scripts/write-build-info.ts` noted it; "unknown" when run from source. */
export function gitSha(): string {
  try {
    const parsed = parseJson(readFileSync(new URL("dist/build-info.json", packageDirectory), "utf8"));
    return (isRecord(parsed) ? textOf(parsed["git_sha"]) : undefined) ?? "unknown";
  } catch {
    return "unknown";
  }
}
