import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { fileURLToPath } from "node:url";
import { isRecord, parseJson } from "../core/json.ts";
import { present } from "../core/present.ts";

const packageUrl = new URL("../../", import.meta.url);

export const packageDirectory = (): string => fileURLToPath(packageUrl);

/** Models that ship with cortex: the last place a model store name is looked for. */
export const shippedModelsDirectory = (): string => fileURLToPath(new URL("assets/demo/", packageUrl));

/** Templates of `cortex init`. */
export const initTemplatesDirectory = (): string => fileURLToPath(new URL("assets/init/", packageUrl));

/** The files of the page at `/ui`; `script` is there once the package is built. */
export interface PageFilePaths {
  readonly document: string;
  readonly script: string;
  readonly style: string;
  readonly icon: string;
}

export const pageFilePaths = (): PageFilePaths => ({
  document: packageFile("assets/page/index.html"),
  script: packageFile("dist/page/app.js"),
  style: packageFile("assets/page/page.css"),
  icon: packageFile("assets/page/icon.svg"),
});

const packageFile = (path: string): string => fileURLToPath(new URL(path, packageUrl));

/** The worker program that a neuron starts; `.ts` from source, `.js` from dist. */
export const workerEntryFile = (): string => programFile("worker/io/worker-main");

/** The worker program for a model that an external engine holds. */
export const externalWorkerEntryFile = (): string => programFile("worker/io/external-main");

/** The worker program for a model that a script answers for. */
export const scriptedWorkerEntryFile = (): string => programFile("worker/io/scripted-main");

/** The program that says which GPUs the engine finds. */
export const engineDevicesEntryFile = (): string => programFile("worker/io/devices-main");

function programFile(path: string): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`../${path}.${extension}`, import.meta.url));
}

/** Version of this package, from its package.json. */
export const packageVersion = (): string =>
  present(textOf(packageManifest()["version"]), "the version in package.json");

/** The Node that this package runs on, as its package.json says it: ">=24". */
export function neededNode(): string {
  const { engines } = packageManifest();
  return present(isRecord(engines) ? textOf(engines["node"]) : undefined, "engines.node in package.json");
}

/** Of the inference engine: the one version that this package works with, and what is installed beside it (null: nothing). */
export function engineVersions(): { readonly needed: string; readonly installed: string | null } {
  const { peerDependencies } = manifestAt(new URL("package.json", packageUrl));
  const needed = isRecord(peerDependencies) ? textOf(peerDependencies[ENGINE_PACKAGE]) : undefined;
  return { needed: present(needed, "the engine's version in package.json"), installed: installedEngine() };
}

const ENGINE_PACKAGE = "node-llama-cpp";

function installedEngine(): string | null {
  try {
    const found = findPackageJSON(ENGINE_PACKAGE, import.meta.url);
    return found === undefined ? null : (textOf(manifestAt(found)["version"]) ?? null);
  } catch {
    return null;
  }
}

/** What package.json says. */
export const packageManifest = (): Readonly<Record<string, unknown>> =>
  manifestAt(new URL("package.json", packageUrl));

function manifestAt(place: URL | string): Readonly<Record<string, unknown>> {
  const parsed = parseJson(readFileSync(place, "utf8"));
  return present(isRecord(parsed) ? parsed : undefined, "the object in package.json");
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Commit this build was made from, as `scripts/write-build-info.ts` noted it; "unknown" when run from source. */
export function gitSha(): string {
  try {
    const parsed = parseJson(readFileSync(new URL("dist/build-info.json", packageUrl), "utf8"));
    return (isRecord(parsed) ? textOf(parsed["git_sha"]) : undefined) ?? "unknown";
  } catch {
    return "unknown";
  }
}
