import { notUsedYet } from "../../fleet/check/not-used-yet.ts";
import type { BlockChange } from "./block-change.ts";
import { ALIAS_TARGET, type Declaration, type Settings, type TableName } from "./declaration.ts";
import { covers, isOpen, patternsOf } from "./exposure.ts";

type Field = BlockChange["fields"][number];

/** Both declarations as a whole: what a block means depends on others. */
interface Sides {
  readonly from: Declaration;
  readonly to: Declaration;
}

/** What people and programs will see of a change, a sentence each, without a word twice. */
export function consequencesOf(change: BlockChange, sides: Sides): string[] {
  const { table, kind, fields } = change;
  const ofBlock = kind === "changed" ? [] : blockConsequences(change, sides);
  const isWhole = kind === "added" || kind === "removed";
  const ofFields = isWhole
    ? []
    : fields.map((field) => unusedText(table, field) ?? fieldConsequence({ ...change, field }, sides));
  const ofTable = table === "keys" ? [notUsedYet(table, "", null) ?? ""] : [];
  return [...new Set([...ofBlock, ...ofFields, ...ofTable])].filter((text) => text !== "");
}

/** What a setting would lead to is not so as long as nothing obeys it. */
const unusedText = (table: TableName, { key, to }: Field): string | undefined =>
  table === "keys" ? undefined : notUsedYet(table, key, to);

function blockConsequences(change: BlockChange, sides: Sides): string[] {
  const { table } = change;
  if (table === "models") return [modelConsequence(change, sides)];
  if (table === "keys") return [keyConsequence(change, sides)];
  if (table === "aliases") return [aliasConsequence(change, sides)];
  return table === "neurons" ? [neuronConsequence(change)] : [];
}

function aliasConsequence({ kind, name, own }: BlockChange, sides: Sides): string {
  const target = own?.get(ALIAS_TARGET) ?? "";
  return kind === "added"
    ? `clients may ask for ${name}: ${target} answers${waitOf(target, sides)}`
    : `clients that ask for ${name} get 404 (model_not_found)`;
}

function neuronConsequence({ kind, old, renamedFrom }: BlockChange): string {
  if (kind === "added") return "its devices may hold models";
  if (kind === "renamed") return `pins, metrics and history know it as ${renamedFrom ?? ""} until now`;
  return `nothing is routed to ${old?.get("endpoint") ?? "it"} any more; what it holds stays loaded there`;
}

function modelConsequence({ kind, name, own, renamedFrom }: BlockChange, sides: Sides): string {
  const replicas = Number(own?.get("replicas") ?? 0);
  if (kind === "removed") return `clients that ask for ${name} get 404 (model_not_found)`;
  if (kind === "renamed") {
    const former = renamedFrom ?? "";
    return sides.to.tables.get("aliases")?.has(former) === true
      ? `${former} goes on as an alias; loaded copies are loaded again under the new name`
      : `clients that ask for ${former} get 404 (model_not_found), unless an alias keeps that name; loaded copies are loaded again`;
  }
  return replicas > 0
    ? `clients may ask for it; ${replicas === 1 ? "one copy is" : `${replicas} copies are`} kept loaded`
    : "on demand: the first request that names it loads it, and may wait for that";
}

function keyConsequence({ kind, own, renamedFrom }: BlockChange, { to }: Sides): string {
  if (kind === "removed") {
    return (to.tables.get("keys")?.size ?? 0) === 0
      ? "it was the last key: whoever reaches the gateway is served without one"
      : "requests with its secret are refused";
  }
  if (kind === "renamed")
    return `the same secret; logs, metrics and usage know it as ${renamedFrom ?? ""} until now`;
  return `whoever has its secret may use ${patternsOf(own?.get("models") ?? "").join(", ")}, ${capText(own)}`;
}

function capText(key: Settings | undefined): string {
  const cap = key?.get("hard_cap");
  if (cap === undefined) return "without a cap";
  const secs = key?.get("window.seconds");
  return secs === undefined ? `up to ${cap} tokens in all` : `up to ${cap} tokens in ${secs} s`;
}

/** "; its first request waits for a load" where the model is on demand. */
function waitOf(modelId: string, { to }: Sides): string {
  const replicas = to.tables.get("models")?.get(modelId)?.get("replicas");
  return replicas === "0" ? ", on demand: a request may wait for a load" : "";
}

type FieldChange = BlockChange & { readonly field: Field };
type Consequence = string | ((change: FieldChange, sides: Sides) => string);

const RELOADED: Consequence = ({ own }) =>
  Number(own?.get("replicas") ?? 0) > 0
    ? "its loaded copies are loaded again with it"
    : "copies that are loaded from now on have it; those that are loaded keep the old one";
const limitText =
  (what: string): Consequence =>
  ({ field }) =>
    `${field.to ?? ""} ${what} (before: ${field.from ?? ""})`;
const PLACED: Consequence = "decides where its copies may go";
const PROBED: Consequence = "fresh copies are asked so, from the next load on";
const RETOLD: Consequence = "clients are told so in GET /v1/models";

/** Every setting of the files: what follows from a change of it. A test holds the table to the schema. */
export const FIELD_CONSEQUENCES: Readonly<Record<string, Consequence>> = {
  "fleet.name":
    "the fleet is another one: history, snapshots and loaded copies belong to the former name (takes_over keeps the copies)",
  "fleet.takes_over":
    "copies that these fleets have loaded count as this one's, and are taken down where no block declares them",
  "gateway.listen": ({ field }) => listenText(field, "the endpoint"),
  "gateway.metrics_listen": ({ field }) => listenText(field, "the metrics"),
  "gateway.allow_anonymous": ({ field }) =>
    field.to === "true"
      ? "whoever reaches the gateway may use every model, without a key"
      : "nobody is served without a key any more, where one is declared",
  "gateway.hosts": ({ field }) => `requests with these names as Host are taken: ${field.to ?? "none"}`,
  "gateway.origins": ({ field }) => `web pages of these origins may use it: ${field.to ?? "none"}`,
  "gateway.limits.connections": limitText("open connections are kept"),
  "gateway.limits.head_secs": "clients have another time to send a head, after a restart",
  "gateway.limits.body_mb": limitText("MiB are the largest body"),
  "gateway.limits.body_bytes_per_sec": limitText("bytes a second are the slowest body"),
  "gateway.limits.first_byte_secs": limitText("s are waited for a neuron to begin an answer"),
  "gateway.limits.silence_secs": limitText("s of silence end an answer"),
  "gateway.limits.answer_secs": limitText("s are waited for an answer that is not streamed"),
  "gateway.limits.stall_secs": limitText("s without reading end a client's answer"),
  "gateway.limits.keep_alive_secs": limitText("s lie between two signs of life"),
  "gateway.limits.shutdown_secs": limitText("s are left to answers when the gateway stops"),
  "gateway.queue_limit": ({ field }) => `${field.to ?? "256"} requests may wait for one model`,
  "gateway.queue_wait_secs": ({ field }) =>
    `a request that is not streamed may wait ${field.to ?? "300"} s for a place`,
  "gateway.queue_wait_stream_secs": ({ field }) =>
    `a streamed request may wait ${field.to ?? "1800"} s for a place`,
  "gateway.load_linger_secs": ({ field }) =>
    `a load that nobody waits for any more goes on for ${field.to ?? "120"} s`,
  "eviction.min_residency_secs": ({ field }) =>
    field.to === null
      ? "a copy at work stays for twice the load time of the model that wants in"
      : `a copy at work stays for ${field.to} s, though others wait`,
  "eviction.drain_secs": ({ field }) =>
    `work in flight has ${field.to ?? "30"} s to end where a copy gives way`,
  "eviction.strategy": ({ field }) => `on-demand models give way by ${field.to ?? "lru"}`,
  "eviction.defrag_after_cycles": ({ field }) =>
    field.to === "0"
      ? "no copy is loaded anew for what came and went beside it"
      : `a copy is loaded anew when ${field.to ?? "50"} models have come and gone beside it`,
  "ledger.url": "usage is counted in another place: what was counted so far is not there",
  "gitops.repo": "desired state is fetched from another repository",
  "gitops.branch": "another branch decides what is loaded",
  "gitops.interval_secs": "changes of the repository are seen sooner or later than before",
  "gitops.verify": ({ field }) =>
    field.to === "none"
      ? "unsigned commits are applied"
      : "commits without a trusted signature are not applied",
  "gitops.mode": ({ field }) =>
    field.to === "detect" ? "drift is reported and not healed" : "drift is healed without asking",
  "gitops.max_unload_percent": ({ field }) =>
    `a plan may take ${field.to ?? ""} % of what is loaded without consent`,
  "gitops.windows": "the loop may change the fleet at other times",
  "neurons.endpoint": "it is asked at another address",
  "neurons.labels": "",
  "neurons.drain": ({ field }) =>
    field.to === "true"
      ? "nothing new is placed there, and residents move away"
      : "models may be placed there again",
  "neurons.weight": "gets another share of copies where neurons are equal",
  "models.source": RELOADED,
  "models.revision": RELOADED,
  "models.quant": RELOADED,
  "models.sha256": RELOADED,
  "models.harness": RELOADED,
  "models.endpoint": RELOADED,
  "models.served_as": RELOADED,
  "models.token_file": RELOADED,
  "models.command": RELOADED,
  "models.health_path": RELOADED,
  "models.start_timeout_secs": "counts from the next load on",
  "models.replicas": ({ field }) => replicasText(field),
  "models.pinned_on": PLACED,
  "models.min_devices": RELOADED,
  "models.min_device_vram_mb": PLACED,
  "models.vram_mb": PLACED,
  "models.residency_priority": ({ field }) =>
    `may displace models of class ${field.to ?? DEFAULT_CLASS} and lower (before: ${field.from ?? DEFAULT_CLASS})`,
  "models.context": RELOADED,
  "models.parallel": RELOADED,
  "models.threads": RELOADED,
  "models.kv_cache_type": RELOADED,
  "models.flash_attention": RELOADED,
  "models.swa_full": RELOADED,
  "models.batch_size": RELOADED,
  "models.lora": RELOADED,
  "models.lora.source": RELOADED,
  "models.lora.scale": RELOADED,
  "models.draft": RELOADED,
  "models.prompt_lookup": RELOADED,
  "models.limit.context": RETOLD,
  "models.limit.input": RETOLD,
  "models.limit.output": RETOLD,
  "models.cost.input": RETOLD,
  "models.cost.output": RETOLD,
  "models.cost.cache_read": RETOLD,
  "models.cost.cache_write": RETOLD,
  "models.capabilities": RETOLD,
  "models.idle_unload_secs": ({ field }) =>
    field.to === null ? "idle copies stay" : `an on-demand copy leaves after ${field.to} s without a request`,
  "models.protect": ({ field }) =>
    field.to === "true"
      ? "apply takes it down with --allow-protected only"
      : "apply may take it down like any other",
  "models.probe.prompt": PROBED,
  "models.probe.expect": PROBED,
  "models.probe.dimensions": PROBED,
  "models.probe.max_tokens": PROBED,
  "models.probe.within_secs": PROBED,
  "keys.fingerprint": "the former secret is refused; its holders need the new one",
  "keys.models": ({ field }) => scopeText(field),
  "keys.window.kind": ({ own }) =>
    `it may use ${capText(own).replace("without a cap", "tokens without a cap")}`,
  "keys.window.seconds": ({ own }) =>
    `it may use ${capText(own).replace("without a cap", "tokens without a cap")}`,
  "keys.requests_per_minute": ({ field }) =>
    field.to === null ? "it may begin any number of requests" : `it may begin ${field.to} requests a minute`,
  "keys.parallel_requests": ({ field }) =>
    field.to === null
      ? "it may have any number of requests under way"
      : `it may have ${field.to} requests under way`,
  "keys.role": ({ field }) =>
    field.to === "admin" ? "it may read /fleet and /usage too" : "it may not read /fleet and /usage any more",
  "keys.hard_cap": ({ own }) => `it may use ${capText(own).replace("without a cap", "tokens without a cap")}`,
  "aliases.": ({ name, field }, sides) =>
    `clients of ${name} are answered by ${field.to ?? ""}${waitOf(field.to ?? "", sides)}`,
};

const DEFAULT_CLASS = "100";

function fieldConsequence(change: FieldChange, sides: Sides): string {
  const { table, field } = change;
  const id = `${table}.${field.key}`;
  const consequence =
    FIELD_CONSEQUENCES[id] ?? FIELD_CONSEQUENCES[id.replace(/^(neurons\.labels)\..*/, "$1")] ?? "";
  return typeof consequence === "string" ? consequence : consequence(change, sides);
}

function listenText({ from, to }: Field, what: string): string {
  if (to === null || from === null) return "";
  if (isOpen(to) && !isOpen(from))
    return `opens ${what} to every machine that can reach this one, after a restart`;
  if (!isOpen(to) && isOpen(from)) return `only this machine reaches ${what}, after a restart`;
  return `${what} moved: clients need the new address, after a restart`;
}

function replicasText({ from, to }: Field): string {
  if (to === "0") return "on demand from now on: nothing keeps it loaded";
  if (from === "0") return "kept loaded from now on, no longer on demand";
  return `${to ?? "0"} copies are kept loaded instead of ${from ?? "0"}`;
}

function scopeText({ from, to }: Field): string {
  const [before, after] = [patternsOf(from), patternsOf(to)];
  const gained = after.filter((pattern) => !covers(before, pattern));
  const lost = before.filter((pattern) => !covers(after, pattern));
  return [
    gained.length === 0 ? "" : `may use ${gained.join(", ")} too`,
    lost.length === 0 ? "" : `may not use ${lost.join(", ")} any more`,
  ]
    .filter((part) => part !== "")
    .join("; ");
}
