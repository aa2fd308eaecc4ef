import { createHash } from "node:crypto";
import { isRecord } from "../../../core/json.ts";
import { engineAddress } from "../imported/engine-address.ts";
import {
  blockName,
  EMPTY_IMPORT,
  modelId,
  type ImportedFleet,
  type WrittenKey,
  type WrittenModel,
} from "../imported/import-report.ts";
import {
  noteAt,
  noteLostModel,
  type LocatedDocument,
  type NotedDocument,
} from "../imported/located-document.ts";

type Block = Readonly<Record<string, unknown>>;

/** One entry of `model_list`: LiteLLM calls several entries of one name a model group. */
interface Deployment {
  readonly index: number;
  readonly name: string;
  readonly endpoint: string;
  readonly params: Block;
  readonly info: Block;
}

/**
 * LiteLLM's `config.yaml`: an entry with an `api_base` is an engine of one's own and becomes a model with harness
 * openai; each machine that an address names becomes a neuron, and entries of one name are copies on several of them.
 * A provider's cloud stays behind, because cortex routes to machines that its fleet declares.
 */
export function importLiteLlm(document: LocatedDocument, named: readonly Machine[]): ImportedFleet {
  const machines = new Map(named.map((machine) => [hostOf(machine.endpoint), machine]));
  const noted: NotedDocument = { document, notes: [] };
  const root = isRecord(document.value) ? document.value : {};
  const list = Array.isArray(root["model_list"]) ? root["model_list"] : [];
  const deployments = list.flatMap((entry: unknown, index) => readDeployment(noted, { entry, index }));
  const groups = Map.groupBy(deployments, ({ name }) => name);
  const taken = new Set(groups.keys());
  const ids = new Map<string, string>();
  const models = [...groups.values()].map((group) => {
    const id = modelId(group[0]?.name ?? "", taken);
    taken.add(id);
    ids.set(group[0]?.name ?? "", id);
    return modelOf(noted, { id, group, machines });
  });
  const router = isRecord(root["router_settings"]) ? root["router_settings"] : {};
  const aliases = readAliases(noted, { given: router["model_group_alias"], ids });
  const keys = masterKey(noted, root["general_settings"]);
  noteRest(noted, root);
  const neurons =
    machines.size === 0 ? [{ name: "local", endpoint: "http://127.0.0.1:13131" }] : [...machines.values()];
  return { ...EMPTY_IMPORT, neurons, models, aliases, keys, notes: noted.notes };
}

interface Machine {
  readonly name: string;
  readonly endpoint: string;
}

const hostOf = (endpoint: string): string => {
  const host = URL.parse(endpoint)?.hostname ?? endpoint;
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)$/.test(host) ? "127.0.0.1" : host;
};

/** The neuron beside an engine, under the machine's own name; made when it is first met. */
function machineOf(machines: Map<string, Machine>, endpoint: string): Machine {
  const host = hostOf(endpoint);
  const known = machines.get(host);
  if (known !== undefined) return known;
  const taken = new Set([...machines.values()].map(({ name }) => name));
  const wanted =
    host === "127.0.0.1" ? "local" : /^[\d.[\]:]+$/.test(host) ? host : (host.split(".")[0] ?? host);
  const machine = { name: blockName(wanted, taken), endpoint: `http://${host}:13131` };
  machines.set(host, machine);
  return machine;
}

const table = (value: unknown): Block => (isRecord(value) ? value : {});

function readDeployment(
  noted: NotedDocument,
  { entry, index }: { readonly entry: unknown; readonly index: number },
): Deployment[] {
  const block = table(entry);
  const params = table(block["litellm_params"]);
  const name = typeof block["model_name"] === "string" ? block["model_name"].trim() : "";
  const at = { path: ["model_list", index, "model_name"], model: name === "" ? `entry ${index + 1}` : name };
  if (name === "" || name.includes("*")) {
    const reason =
      name === "" ? "it has no `model_name`" : "a pattern stands for models that cortex cannot list";
    noteLostModel(noted, at, reason);
    return [];
  }
  const base = params["api_base"] ?? params["base_url"];
  if (typeof base !== "string") {
    const reason =
      "it has no `api_base`, so it is a provider's cloud: cortex routes to machines of its fleet";
    noteLostModel(noted, at, reason);
    return [];
  }
  const address = engineAddress(base);
  const basePath = ["model_list", index, "litellm_params", "api_base"];
  if (address === undefined) {
    const reason = base.startsWith("os.environ/")
      ? "its `api_base` is in the environment: write the address and import again, or declare it by hand"
      : "its `api_base` is not an address";
    noteLostModel(noted, { ...at, path: basePath }, reason);
    return [];
  }
  if (address.hadPassword) noteAt(noted, basePath, "the password stays behind: fleet files hold no secrets");
  return [{ index, name, endpoint: address.endpoint, params, info: table(block["model_info"]) }];
}

interface Group {
  readonly id: string;
  readonly group: readonly Deployment[];
  readonly machines: Map<string, Machine>;
}

/** An engine's address as the neuron on its machine reaches it. */
const besideNeuron = (endpoint: string): string => {
  const url = new URL(endpoint);
  if (url.protocol === "https:") return endpoint;
  const port = url.port === "" ? "" : `:${url.port}`;
  return `http://127.0.0.1${port}${url.pathname.replace(/\/+$/, "")}`;
};

function modelOf(noted: NotedDocument, { id, group, machines }: Group): WrittenModel {
  const [first, ...others] = group;
  if (first === undefined) throw new Error("a group of deployments has at least one");
  const at = ["model_list", first.index, "model_name"];
  if (id !== first.name) noteAt(noted, at, `an id has no spaces: clients ask for \`${id}\` here`);
  const here = group.map(({ endpoint }) => machineOf(machines, endpoint).name);
  const beside = besideNeuron(first.endpoint);
  for (const other of others) noteOther(noted, beside, other);
  for (const deployment of group) noteSettings(noted, deployment);
  const served = servedName(first.params["model"]);
  const pinned = [...new Set(here)];
  return {
    id,
    harness: "openai",
    endpoint: beside,
    ...(served === undefined || served === id ? {} : { served_as: served }),
    ...(pinned.length === 1 ? {} : { replicas: pinned.length }),
    pinned_on: pinned,
    ...limitOf(first.info),
    ...costOf({ ...first.params, ...first.info }),
    ...capabilitiesOf(first.info),
  };
}

/** `hosted_vllm/meta/llama`: the provider is how LiteLLM speaks to it, the rest is what the engine calls the model. */
function servedName(model: unknown): string | undefined {
  if (typeof model !== "string" || !/^\S+$/.test(model)) return undefined;
  const slash = model.indexOf("/");
  return slash === -1 ? model : model.slice(slash + 1);
}

function noteOther(noted: NotedDocument, endpoint: string, other: Deployment): void {
  if (besideNeuron(other.endpoint) === endpoint) return;
  const reason = `a model has one endpoint on every neuron, now ${endpoint}: let this engine listen there, too`;
  noteAt(noted, ["model_list", other.index, "litellm_params", "api_base"], reason);
}

const tokens = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;

function limitOf(info: Block): Pick<WrittenModel, "limit"> {
  const context = tokens(info["max_input_tokens"]) ?? tokens(info["max_tokens"]);
  const output = tokens(info["max_output_tokens"]);
  if (context === undefined) return {};
  return { limit: { context, ...(output === undefined ? {} : { output }) } };
}

/** There per token, here per million. */
function costOf(values: Block): Pick<WrittenModel, "cost"> {
  const perMillion = (key: string): number | undefined => {
    const value = values[key];
    const isPrice = typeof value === "number" && value >= 0 && Number.isFinite(value);
    return isPrice ? Number((value * 1e6).toPrecision(12)) : undefined;
  };
  const prices = {
    input: perMillion("input_cost_per_token"),
    output: perMillion("output_cost_per_token"),
    cache_read: perMillion("cache_read_input_token_cost"),
    cache_write: perMillion("cache_creation_input_token_cost"),
  };
  const said = Object.fromEntries(Object.entries(prices).filter(([, price]) => price !== undefined));
  return Object.keys(said).length === 0 ? {} : { cost: said };
}

function capabilitiesOf(info: Block): Pick<WrittenModel, "capabilities"> {
  if (info["mode"] === "embedding") return { capabilities: ["embeddings"] };
  return info["mode"] === "rerank" ? { capabilities: ["rerank"] } : {};
}

const PARAMS_READ = new Set([
  "model",
  "api_base",
  "base_url",
  "input_cost_per_token",
  "output_cost_per_token",
  "cache_read_input_token_cost",
  "cache_creation_input_token_cost",
]);
const INFO_READ = new Set([
  ...PARAMS_READ,
  "mode",
  "max_input_tokens",
  "max_output_tokens",
  "max_tokens",
  "id",
]);

const SETTING_REASONS: Readonly<Record<string, string>> = {
  api_key: "the engine's token goes into a file on its neuron: token_file",
  rpm: "`parallel` says how many requests run side by side; more of them wait",
  tpm: "limits of tokens are a key's: hard_cap",
  max_parallel_requests: "`parallel` says how many requests run side by side; more of them wait",
  weight: "neurons have weights, models have none",
  order: "the free copy is asked; none is preferred",
  timeout: "timeouts are the gateway's own",
  stream_timeout: "timeouts are the gateway's own",
};

function noteSettings(noted: NotedDocument, { index, params, info }: Deployment): void {
  const at = ["model_list", index] as const;
  for (const key of Object.keys(params)) {
    if (PARAMS_READ.has(key)) continue;
    noteAt(noted, [...at, "litellm_params", key], SETTING_REASONS[key] ?? REQUESTS_UNTOUCHED);
  }
  for (const key of Object.keys(info)) {
    if (!INFO_READ.has(key)) noteAt(noted, [...at, "model_info", key], "cortex has no place for it");
  }
}

const REQUESTS_UNTOUCHED = "requests are passed on as they are: nothing is put in, taken out or set";

function readAliases(
  noted: NotedDocument,
  { given, ids }: { readonly given: unknown; readonly ids: ReadonlyMap<string, string> },
): Readonly<Record<string, string>> {
  const names = new Set(ids.values());
  const entries = Object.entries(table(given)).flatMap(([alias, value]) => {
    const target = isRecord(value) ? value["model"] : value;
    const id = typeof target === "string" ? ids.get(target) : undefined;
    const at = ["router_settings", "model_group_alias", alias];
    if (id === undefined) noteAt(noted, at, `points to \`${String(target)}\`, which was not carried over`);
    else if (/\s/.test(alias)) noteAt(noted, at, "an alias is a name without spaces");
    else if (names.has(alias))
      noteAt(noted, at, "is also the id of a model; aliases and ids share one namespace");
    else return [[alias, id] as const];
    return [];
  });
  return Object.fromEntries(entries);
}

/** Clients keep the secret: the fleet holds its hash. */
function masterKey(noted: NotedDocument, general: unknown): WrittenKey[] {
  const secret = table(general)["master_key"];
  if (typeof secret !== "string" || secret === "") return [];
  const at = ["general_settings", "master_key"];
  if (!secret.startsWith("os.environ/")) {
    return [{ id: "master", hash: `sha256:${createHash("sha256").update(secret).digest("hex")}` }];
  }
  noteAt(noted, at, 'the secret is in the environment; take its hash there: printf %s "$SECRET" | sha256sum');
  return [];
}

function noteRest(noted: NotedDocument, root: Block): void {
  for (const [section, value] of Object.entries(root)) {
    if (section === "model_list") continue;
    const keys = Object.keys(table(value));
    if (keys.length === 0) noteAt(noted, [section], "cortex has no such setting");
    for (const key of keys) {
      if (key === "master_key" || key === "model_group_alias") continue;
      const reason =
        section === "environment_variables" ? "it may be a secret" : "cortex has no such setting";
      noteAt(noted, [section, key], reason);
    }
  }
}
