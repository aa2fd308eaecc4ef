import { createHash } from "node:crypto";
import { evictionTableSchema } from "../../../fleet/schema/fleet-schema.ts";
import { importHelexaModels, type HelexaFiles } from "./helexa-models.ts";
import {
  blockName,
  EMPTY_IMPORT,
  type ImportedFleet,
  type ImportNote,
  type WrittenKey,
  type WrittenNeuron,
} from "../imported/import-report.ts";
import { ForeignTable } from "./foreign-table.ts";

/** `cortex.toml`, `models.toml` and each machine's `neuron.toml` as one fleet. */
export function importHelexa(files: HelexaFiles): ImportedFleet {
  const notes: ImportNote[] = [];
  const cortex = files.cortex === undefined ? undefined : new ForeignTable(files.cortex, [], notes);
  const neurons = cortex === undefined ? [] : importNeurons(cortex);
  const imported = {
    ...EMPTY_IMPORT,
    gateway: cortex === undefined ? {} : { ...importGateway(cortex), ...importAnonymous(cortex) },
    eviction: cortex === undefined ? {} : importEviction(cortex),
    neurons,
    keys: cortex === undefined ? [] : importKeys(cortex.table("entitlements")),
    notes,
  };
  if (cortex !== undefined) {
    cortex.table("upstream").noteAll(UPSTREAM_REASONS);
    cortex.noteAll({ models_config: "every .toml file of the fleet's directory counts" });
    cortex.noteRest();
  }
  const names = neurons.map(({ name }) => name);
  return { ...imported, ...importHelexaModels(files, { neuronNames: names, notes }) };
}

function importGateway(cortex: ForeignTable): ImportedFleet["gateway"] {
  const gateway = cortex.table("gateway");
  const imported = { listen: gateway.text("listen"), metrics_listen: gateway.text("metrics_listen") };
  gateway.noteRest();
  return imported;
}

/** There, keys are asked for on request; here, wherever one is declared, unless anonymous requests are allowed. */
const importAnonymous = (cortex: ForeignTable): ImportedFleet["gateway"] =>
  cortex.has("gateway") && cortex.table("entitlements").flag("require_auth") !== true
    ? { allow_anonymous: true }
    : {};

function importEviction(cortex: ForeignTable): ImportedFleet["eviction"] {
  if (!cortex.has("eviction")) return {};
  const eviction = cortex.table("eviction");
  const strategy = eviction.text("strategy");
  const known = evictionTableSchema.shape.strategy.safeParse(strategy);
  if (!known.success) eviction.note("strategy", `\`${strategy ?? ""}\` is not a strategy here`);
  // There, leaving it out means never; here it means 50.
  const imported = {
    strategy: known.success ? known.data : undefined,
    defrag_after_cycles: eviction.wholeNumber("defrag_after_cycles") ?? 0,
  };
  eviction.noteRest();
  return imported;
}

function importNeurons(cortex: ForeignTable): WrittenNeuron[] {
  const taken = new Set<string>();
  return [...cortex.tables("neurons"), ...cortex.tables("nodes")].flatMap((block) => {
    const name = block.text("name") ?? "";
    const endpoint = block.text("endpoint");
    block.noteAll({
      vram_mb: "the neuron finds its own devices and their memory",
      pinned: "models are kept loaded by `replicas` in their own block",
    });
    block.noteRest();
    if (endpoint === undefined) {
      block.note("name", "a neuron needs an endpoint; the block is left out");
      return [];
    }
    const own = blockName(name, taken);
    taken.add(own);
    if (own !== name) block.note("name", `is called \`${own}\` here`);
    return [{ name: own, endpoint }];
  });
}

function importKeys(entitlements: ForeignTable): WrittenKey[] {
  const taken = { ids: new Set<string>(), hashes: new Set<string>() };
  const keys = entitlements.tables("keys").flatMap((block) => importKey(block, taken));
  if (entitlements.flag("require_auth") === true && keys.length === 0) {
    entitlements.note(
      "require_auth",
      "a gateway asks for keys once one is declared; cortex key create makes one",
    );
  }
  entitlements.noteRest();
  return keys;
}

/** Clients keep their secrets: the fleet holds the hash of each. */
function importKey(
  block: ForeignTable,
  taken: { readonly ids: Set<string>; readonly hashes: Set<string> },
): WrittenKey[] {
  const secret = block.text("key");
  const account = block.text("account_id");
  const wanted = block.text("key_id") ?? account ?? "client";
  if (secret === undefined) {
    block.note("key", "there is no secret to take the hash of; the key is left out");
    return [];
  }
  const hash = `sha256:${createHash("sha256").update(secret).digest("hex")}`;
  if (taken.hashes.has(hash)) {
    block.note("key", "the same secret stands above; each client has its own here, so the key is left out");
    return [];
  }
  const cap = block.wholeNumber("hard_cap");
  if (cap === 0) {
    block.note("hard_cap", "a cap of 0 lets nothing through; the key is left out");
    return [];
  }
  const id = blockName(wanted, taken.ids);
  taken.ids.add(id);
  taken.hashes.add(hash);
  if (account !== undefined && account !== id) {
    block.note("account_id", `usage is counted for each key; this one is \`${id}\``);
  }
  const window = importWindow(block.table("window"));
  if (window !== undefined && cap === undefined) block.note("window", "limits nothing without `hard_cap`");
  block.noteRest();
  return [
    {
      id,
      hash,
      ...(cap === undefined ? {} : { hard_cap: cap, window }),
    },
  ];
}

function importWindow(window: ForeignTable): WrittenKey["window"] {
  const kind = window.text("kind");
  const seconds = window.wholeNumber("seconds");
  return kind === "rolling" && seconds !== undefined ? { kind, seconds } : undefined;
}

const NO_AUTHORITY = "there is no authority above the fleet: all keys are in its files";

const UPSTREAM_REASONS: Readonly<Record<string, string>> = {
  enabled: NO_AUTHORITY,
  url: NO_AUTHORITY,
  bearer: NO_AUTHORITY,
  timeout_secs: NO_AUTHORITY,
  served_usage_report_interval_secs: NO_AUTHORITY,
};
