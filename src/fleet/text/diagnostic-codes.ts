/**
 * Every finding about fleet files has one of these codes. A code never changes its meaning: scripts, suppressions
 * and search results hold on to it. src/manual explains each further; docs/diagnostics.md is made of both, and a test keeps it so.
 */
interface DiagnosticKind {
  readonly title: string;
  readonly severity: "error" | "warning";
  /** What to do, unless the finding knows better. */
  readonly help: string;
}

const error = (title: string, help: string): DiagnosticKind => ({ title, severity: "error", help });
const warning = (title: string, help: string): DiagnosticKind => ({ title, severity: "warning", help });

// oxfmt-ignore
export const DIAGNOSTIC_CODES = {
  CTX100: error("no fleet file", "a fleet is a directory with at least one .toml file; fleet.example.toml is one to start from"),
  CTX101: error("not TOML", "mend the syntax; https://toml.io/en/v1.0.0 is the reference"),
  CTX102: error("unknown key", "remove the key or correct its spelling"),
  CTX103: error("value not allowed", "write a value that docs/fleet-files.md lists for the key"),
  CTX104: error("missing key", "add the key; docs/fleet-files.md lists those of each table"),
  CTX105: error("key set twice", "keep one of the two"),
  CTX106: error("name declared twice", "names of neurons, ids of models and ids of keys are unique in a fleet; rename or remove one"),
  CTX107: error("endpoint declared twice", "two names for one machine would count its memory twice; remove one block"),
  CTX108: error("pin to an unknown neuron", "declare the neuron, or pin to one of the declared ones"),
  CTX109: error("alias of an unknown model", "point the alias to the id of a [[models]] block"),
  CTX110: error("alias of an alias", "aliases are one step: point this one to the model itself"),
  CTX111: error("alias hides a model", "aliases and ids share one namespace; rename the alias"),
  CTX112: error("more replicas than neurons", "a neuron holds one copy of a model: lower `replicas` or allow more neurons"),
  CTX113: error("no models declared", "declare a [[models]] block; to empty a fleet, set replicas = 0 and keep the blocks"),
  CTX114: warning("no neurons declared", "declare a [[neurons]] block for each machine"),
  CTX115: error("limit beyond the context", "clients must not be promised more than the model holds: lower `limit` or raise `context`"),
  CTX116: error("source that neurons cannot use", "write file:/absolute/path.gguf, hf:org/repo:Q4_K_M, https://host/file.gguf, or the bare name of a file in the neurons' model store"),
  CTX117: warning("setting without effect", "remove the setting"),
  CTX118: error("unknown environment override", "name a key of the fleet files: CORTEX_GATEWAY__LISTEN sets listen in [gateway]"),
  CTX119: error("model that fits no declared shape", "make `vram_mb` and `min_devices` agree"),
  CTX120: error("fleet file too large", "split the file; a fleet file holds at most 4 MiB"),
  CTX121: error("one secret, two keys", "give each client a secret of its own: usage could not be told apart"),
  CTX122: warning("pattern that matches nothing", "name an id or an alias of this fleet; * stands for any characters"),
  CTX123: error("secret in a fleet file", "take it out and change it: git keeps what it has once held"),
  CTX124: error("setting of another harness", "harness = \"openai\" needs `endpoint` or `command`, with `vram_mb`; the file settings belong to llama, the endpoint settings to openai"),
  CTX125: error("pin that the source cannot honour", "`revision` and `quant` name something inside an hf: repository; a file is pinned by `sha256`"),
  CTX126: warning("not used by this version", "keep it for the version that does, and do not rely on it until then"),
  CTX127: warning("nowhere to go", "take `drain` off one of the neurons, or allow another one"),
  CTX128: error("two servers on one address", "give `listen` and `metrics_listen` different ports"),
  CTX129: warning("figure that looks like another unit", "keep it if it is meant; else write it in the unit of the key"),
  CTX131: error("file of another program", "give the fleet a directory of its own, or name its file with --config"),
  CTX132: error("ending in capitals", "rename the file: the ending is .toml"),
  CTX133: warning("name that looks like a repository", "for a repository of the hub write hf:org/repo:Q4_K_M"),
  CTX140: warning("endpoint open to the network", "declare a key (cortex key create), or say that everybody may use it: allow_anonymous = true in [gateway]"),
} as const satisfies Record<string, DiagnosticKind>;

export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES;
