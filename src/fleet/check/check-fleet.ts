import { isLoopback } from "../../core/addresses.ts";
import { nearest } from "../../core/nearest.ts";
import { namesOf, type CheckContext, type Declared, type DeclaredFleet } from "./declared-blocks.ts";
import { diagnostic, type Diagnostic, type Finding } from "../text/diagnostics.ts";
import { DEFAULT_LISTEN, DEFAULT_METRICS_LISTEN } from "../schema/gateway-table.ts";
import { keyFindings } from "./check-keys.ts";
import { modelFindings } from "./check-models.ts";
import { secretFindings } from "./check-secrets.ts";
import type { MergedFleetDocument } from "./merge-fleet-files.ts";
import { unusedFindings } from "./not-used-yet.ts";
import type { KeyPath } from "../../core/key-path.ts";

/** The rules that no schema can state: references, duplicates and figures that contradict each other. */
export function checkFleet(context: CheckContext): Diagnostic[] {
  const { declared, merged } = context;
  const findings: Finding[] = [
    ...emptyTables(context),
    ...duplicates(declared.neurons, { merged, nameKey: "name", what: "neuron" }),
    ...duplicates(declared.models, { merged, nameKey: "id", what: "model" }),
    ...duplicates(declared.keys, { merged, nameKey: "id", what: "key" }),
    ...duplicateEndpoints(context),
    ...declared.aliases.flatMap((alias) => aliasFindings(alias, context)),
    ...modelFindings(context),
    ...keyFindings(context),
    ...addressFindings(merged),
    ...exposureFindings(context),
    ...secretFindings(merged),
    ...unusedFindings(context),
  ];
  return findings.map(diagnostic);
}

function emptyTables({ declared, merged }: CheckContext): Finding[] {
  const findings: Finding[] = [];
  if (declared.models.length === 0 && merged.valueAt(["models"]) === undefined) {
    findings.push({
      code: "CTX113",
      at: merged.placeOfKey(["fleet"]),
      message: "the fleet declares no models",
    });
  }
  if (declared.neurons.length === 0 && merged.valueAt(["neurons"]) === undefined) {
    const message = "the fleet declares no neurons: nothing can be placed";
    findings.push({ code: "CTX114", at: merged.placeOfKey(["fleet"]), message });
  }
  return findings;
}

function duplicates(
  blocks: readonly Declared<unknown>[],
  context: { readonly merged: MergedFleetDocument; readonly nameKey: string; readonly what: string },
): Finding[] {
  const { merged, nameKey, what } = context;
  const first = new Map<string, KeyPath>();
  return blocks.flatMap(({ name, path }) => {
    if (name === undefined) return [];
    const firstPath = first.get(name);
    if (firstPath === undefined) {
      first.set(name, path);
      return [];
    }
    return [
      sameValueTwice(
        { code: "CTX106", what: `${what} \`${name}\``, first: firstPath, second: path, key: nameKey },
        merged,
      ),
    ];
  });
}

function duplicateEndpoints({ declared, merged }: CheckContext): Finding[] {
  const first = new Map<string, KeyPath>();
  return declared.neurons.flatMap(({ block, path }) => {
    if (block === undefined) return [];
    const href = machineOf(block.endpoint);
    const firstPath = first.get(href);
    if (firstPath === undefined) {
      first.set(href, path);
      return [];
    }
    const what = `endpoint ${block.endpoint}`;
    return [
      sameValueTwice({ code: "CTX107", what, first: firstPath, second: path, key: "endpoint" }, merged),
    ];
  });
}

/** `http://BEAST:13131/` is the same machine as `http://beast:13131`, and so is every name of this one. */
function machineOf(endpoint: string): string {
  const url = new URL(endpoint);
  if (isLoopback(url.hostname)) url.hostname = "localhost";
  url.hostname = url.hostname.replace(/\.$/, "");
  return url.href;
}

function sameValueTwice(
  twice: {
    readonly code: "CTX106" | "CTX107";
    readonly what: string;
    readonly first: KeyPath;
    readonly second: KeyPath;
    readonly key: string;
  },
  merged: MergedFleetDocument,
): Finding {
  const { file, line, column } = merged.placeOfValue([...twice.first, twice.key]);
  return {
    code: twice.code,
    at: merged.placeOfValue([...twice.second, twice.key]),
    message: `${twice.what} is already declared in ${file}:${line}`,
    related: [{ file, line, column, message: "declared here first" }],
  };
}

function aliasFindings(
  entry: DeclaredFleet["aliases"][number],
  { declared, merged }: CheckContext,
): Finding[] {
  const ids = namesOf(declared.models);
  const findings: Finding[] = [];
  if (ids.includes(entry.alias)) {
    const message = `the alias \`${entry.alias}\` is also the id of a model`;
    findings.push({ code: "CTX111", at: merged.placeOfKey(entry.path), message });
  }
  if (ids.includes(entry.target)) return findings;
  const at = merged.placeOfValue(entry.path);
  if (declared.aliases.some(({ alias }) => alias === entry.target)) {
    findings.push({
      code: "CTX110",
      at,
      message: `\`${entry.alias}\` points to \`${entry.target}\`, which is an alias`,
    });
    return findings;
  }
  const others = ids.filter((id) => id !== entry.alias);
  const meant = nearest(entry.target, others);
  const message = `\`${entry.alias}\` points to \`${entry.target}\`, which no [[models]] block declares`;
  findings.push({
    code: "CTX109",
    at,
    message,
    ...(meant === undefined ? {} : { help: `did you mean \`${meant}\`?` }),
  });
  return findings;
}

/** Two servers cannot bind one port, whatever address the second one names beside it. */
function addressFindings(merged: MergedFleetDocument): Finding[] {
  const listen = merged.valueAt(["gateway", "listen"]) ?? DEFAULT_LISTEN;
  const metrics = merged.valueAt(["gateway", "metrics_listen"]) ?? DEFAULT_METRICS_LISTEN;
  if (typeof listen !== "string" || typeof metrics !== "string") return [];
  const [first, second] = [splitAddress(listen), splitAddress(metrics)];
  if (first.port !== second.port || first.port === "0") return [];
  const isEverywhere = ANY_ADDRESS.has(first.host) || ANY_ADDRESS.has(second.host);
  if (first.host !== second.host && !isEverywhere) return [];
  const path = [
    "gateway",
    merged.valueAt(["gateway", "metrics_listen"]) === undefined ? "listen" : "metrics_listen",
  ];
  const message = `listen = "${listen}" and metrics_listen = "${metrics}" want the same port`;
  return [{ code: "CTX128", at: merged.placeOfValue(path), message }];
}

/** The gateway would refuse to start so: better said in review. */
function exposureFindings({ declared, merged }: CheckContext): Finding[] {
  const listen = merged.valueAt(["gateway", "listen"]);
  if (typeof listen !== "string" || !/.:\d+$/.test(listen) || isLoopback(splitAddress(listen).host))
    return [];
  if (declared.keys.length > 0 || merged.valueAt(["gateway", "allow_anonymous"]) === true) return [];
  const message = `the gateway listens on ${listen}, beyond its machine, and no key is declared: it will not start`;
  return [{ code: "CTX140", at: merged.placeOfValue(["gateway", "listen"]), message }];
}

const ANY_ADDRESS = new Set(["0.0.0.0", "[::]"]);

function splitAddress(address: string): { readonly host: string; readonly port: string } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: address.slice(colon + 1) };
}
