import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { FIELD_CONSEQUENCES } from "../../../src/controller/declaration/consequences.ts";
import { NOT_USED_YET } from "../../../src/fleet/check/not-used-yet.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import { fleetSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { writtenSchema } from "../../../src/fleet/schema/schema-shape.ts";

/**
 * Who acts on each field, as a file and a word of it that reads the field. A field is either here or in NOT_USED_YET,
 * where it warns (CTX126): nobody should believe in a setting that nothing obeys.
 */
const ACTED_ON: Readonly<Record<string, readonly [file: string, reads: string]>> = {
  "fleet.name": ["controller/plan/draw-plan.ts", "fleet.fleet.name"],
  "fleet.takes_over": ["controller/observe/foreign-copies.ts", "takes_over"],
  "gateway.listen": ["commands/serve.ts", "fleet.gateway.listen"],
  "gateway.metrics_listen": ["commands/serve.ts", "fleet.gateway.metrics_listen"],
  "gateway.allow_anonymous": ["gateway/io/start-gateway.ts", "allow_anonymous"],
  "keys.id": ["gateway/keys/key-ring.ts", "key.id"],
  "keys.hash": ["gateway/keys/key-ring.ts", "key.hash"],
  "keys.models": ["gateway/keys/key-ring.ts", "key.models"],
  "keys.window.kind": ["gateway/keys/key-ring.ts", "key.window.kind"],
  "keys.window.seconds": ["gateway/keys/key-ring.ts", "key.window.seconds"],
  "keys.hard_cap": ["gateway/keys/key-ring.ts", "key.hard_cap"],
  "keys.requests_per_minute": ["gateway/keys/key-ring.ts", "requests_per_minute"],
  "keys.parallel_requests": ["gateway/keys/key-ring.ts", "parallel_requests"],
  "keys.role": ["gateway/keys/key-ring.ts", "key.role"],
  "gateway.hosts": ["gateway/front/who-may-ask.ts", "hosts"],
  "gateway.origins": ["gateway/front/who-may-ask.ts", "origins"],
  "gateway.limits.connections": ["gateway/io/client-edge.ts", "limits.connections"],
  "gateway.limits.head_secs": ["gateway/io/client-edge.ts", "limits.head_secs"],
  "gateway.limits.body_mb": ["gateway/io/client-edge.ts", "limits.body_mb"],
  "gateway.limits.body_bytes_per_sec": ["gateway/io/client-edge.ts", "limits.body_bytes_per_sec"],
  "gateway.limits.first_byte_secs": ["gateway/gateway-config.ts", "limits.first_byte_secs"],
  "gateway.limits.silence_secs": ["gateway/gateway-config.ts", "limits.silence_secs"],
  "gateway.limits.answer_secs": ["gateway/gateway-config.ts", "limits.answer_secs"],
  "gateway.limits.stall_secs": ["gateway/gateway-config.ts", "limits.stall_secs"],
  "gateway.limits.keep_alive_secs": ["gateway/gateway-config.ts", "limits.keep_alive_secs"],
  "gateway.limits.shutdown_secs": ["gateway/gateway-config.ts", "limits.shutdown_secs"],
  "gateway.queue_limit": ["gateway/gateway-config.ts", "gateway.queue_limit"],
  "gateway.queue_wait_secs": ["gateway/gateway-config.ts", "queue_wait_secs"],
  "gateway.queue_wait_stream_secs": ["gateway/gateway-config.ts", "queue_wait_stream_secs"],
  "gateway.load_linger_secs": ["gateway/gateway-config.ts", "gateway.load_linger_secs"],
  "eviction.strategy": ["gateway/loading/victims.ts", "strategy"],
  "eviction.min_residency_secs": ["gateway/gateway-config.ts", "min_residency_secs"],
  "eviction.defrag_after_cycles": ["gateway/gateway-config.ts", "defrag_after_cycles"],
  "eviction.drain_secs": ["gateway/gateway-config.ts", "eviction.drain_secs"],
  "ledger.url": ["gateway/keys/io/open-ledger.ts", "fleet.ledger"],
  "gitops.repo": ["controller/reconcile/io/open-service.ts", "repo"],
  "gitops.branch": ["controller/reconcile/io/open-service.ts", "branch"],
  "gitops.interval_secs": ["controller/reconcile/io/reconcile-round.ts", "interval_secs"],
  "gitops.verify": ["controller/reconcile/io/open-service.ts", "verify"],
  "gitops.mode": ["controller/reconcile/io/reconcile-round.ts", "gitops.mode"],
  "gitops.max_unload_percent": ["controller/plan/draw-plan.ts", "gitops.max_unload_percent"],
  "gitops.windows.kind": ["controller/reconcile/hold.ts", "kind"],
  "gitops.windows.schedule": ["fleet/schema/sync-window.ts", "schedule"],
  "gitops.windows.duration_secs": ["fleet/schema/sync-window.ts", "duration_secs"],
  "gitops.windows.timezone": ["fleet/schema/sync-window.ts", "timezone"],
  "neurons.name": ["gateway/view/fleet-index.ts", "neuron.name"],
  "neurons.endpoint": ["controller/observe/io/observe-fleet.ts", "endpoint"],
  "neurons.drain": ["controller/place/board/standing-checks.ts", "drain"],
  "neurons.weight": ["controller/place/board/choice.ts", "weight"],
  "models.id": ["gateway/view/fleet-index.ts", "model.id"],
  "models.source": ["protocol/model-spec.ts", "source"],
  "models.revision": ["protocol/model-spec.ts", "source"],
  "models.quant": ["protocol/model-spec.ts", "source"],
  "models.sha256": ["protocol/model-spec.ts", "sha256"],
  "models.replicas": ["controller/place/board/build-problem.ts", "replicas"],
  "models.pinned_on": ["gateway/routing/load-feasibility.ts", "pinned_on"],
  "models.min_devices": ["controller/place/board/standing-checks.ts", "minDevices"],
  "models.min_device_vram_mb": ["gateway/routing/load-feasibility.ts", "min_device_vram_mb"],
  "models.vram_mb": ["controller/intent/model-needs.ts", "vram_mb"],
  "models.residency_priority": ["controller/intent/desired-models.ts", "residency_priority"],
  "models.context": ["protocol/model-spec.ts", "context"],
  "models.parallel": ["protocol/model-spec.ts", "parallel"],
  "models.threads": ["protocol/model-spec.ts", "threads"],
  "models.kv_cache_type": ["worker/engine/io/llama-engine.ts", "kv_cache_type"],
  "models.flash_attention": ["worker/engine/io/llama-engine.ts", "flash_attention"],
  "models.swa_full": ["worker/engine/io/llama-engine.ts", "swa_full"],
  "models.batch_size": ["worker/engine/io/llama-engine.ts", "batch_size"],
  "models.lora.source": ["neuron/residency/io/bring-files.ts", "lora"],
  "models.lora.scale": ["neuron/residency/io/bring-files.ts", "scale"],
  "models.draft": ["neuron/residency/io/bring-files.ts", "draft"],
  "models.prompt_lookup": ["worker/engine/io/llama-engine.ts", "prompt_lookup"],
  "models.harness": ["neuron/launch/io/worker-launcher.ts", "harness"],
  "models.endpoint": ["neuron/launch/io/worker-launcher.ts", "endpoint"],
  "models.served_as": ["neuron/launch/io/worker-launcher.ts", "served_as"],
  "models.token_file": ["neuron/launch/io/worker-launcher.ts", "token_file"],
  "models.command": ["neuron/launch/io/worker-launcher.ts", "command"],
  "models.health_path": ["neuron/launch/io/worker-launcher.ts", "health_path"],
  "models.start_timeout_secs": ["neuron/launch/io/worker-launcher.ts", "start_timeout_secs"],
  "models.limit.context": ["gateway/model-list.ts", "limit"],
  "models.limit.input": ["gateway/model-list.ts", "limit"],
  "models.limit.output": ["gateway/model-list.ts", "limit"],
  "models.cost.input": ["gateway/model-list.ts", "cost"],
  "models.cost.output": ["gateway/model-list.ts", "cost"],
  "models.cost.cache_read": ["gateway/model-list.ts", "cost"],
  "models.cost.cache_write": ["gateway/model-list.ts", "cost"],
  "models.capabilities": ["gateway/model-list.ts", "capabilities"],
  "models.idle_unload_secs": ["gateway/loading/load-upkeep.ts", "idle_unload_secs"],
  "models.protect": ["controller/place/board/build-problem.ts", "protect"],
  "models.probe.prompt": ["controller/apply/judge-probe.ts", "prompt"],
  "models.probe.expect": ["controller/apply/judge-probe.ts", "expect"],
  "models.probe.dimensions": ["controller/apply/judge-probe.ts", "dimensions"],
  "models.probe.max_tokens": ["controller/apply/judge-probe.ts", "max_tokens"],
  "models.probe.within_secs": ["controller/apply/io/ask-probe.ts", "within_secs"],
  "aliases.": ["gateway/view/fleet-index.ts", "aliases"],
};

/** Settings that mean nothing without another one, which warns in their stead. */
const BELONGS_TO: Readonly<Record<string, string>> = {};

/** "models.limit.output": every field of the schema; an alias has no key, a label any. */
function fieldsOf(schema: unknown, path: string): string[] {
  const written = writtenSchema(schema);
  if (written instanceof z.ZodArray) return fieldsOf(written.element, path);
  if (written instanceof z.ZodObject)
    return Object.entries(written.shape).flatMap(([key, inner]) => fieldsOf(inner, `${path}${key}.`));
  if (written instanceof z.ZodUnion)
    return [...new Set(written.options.flatMap((option) => fieldsOf(option, path)))];
  if (written instanceof z.ZodRecord && path === "aliases.") return [path];
  return [path.slice(0, -1)];
}

const FIELDS = fieldsOf(fleetSchema, "");

const isUnused = (field: string): boolean =>
  Object.keys(NOT_USED_YET).some((unused) => field === unused || field.startsWith(`${unused}.`));

const isField = (name: string): boolean =>
  FIELDS.some((field) => field === name || field.startsWith(`${name}.`));

/** A hash is compared by its fingerprint, windows as a list. */
const comparedAs = (field: string): string =>
  field === "keys.hash" ? "keys.fingerprint" : field.replace(/^(gitops\.windows)\..*/, "$1");

describe("every field of the fleet files", () => {
  test("is acted on, or warns that it is not", () => {
    const unaccounted = FIELDS.filter(
      (field) => ACTED_ON[field] === undefined && !isUnused(BELONGS_TO[field] ?? field),
    );
    expect(unaccounted).toEqual([]);
  });

  test("is in one of the two tables, and no table has a field that is none", () => {
    const known = [...Object.keys(ACTED_ON), ...Object.keys(NOT_USED_YET)];
    expect(known.filter((name) => !isField(name))).toEqual([]);
    expect(Object.keys(ACTED_ON).filter(isUnused)).toEqual([]);
  });

  test.each(Object.entries(ACTED_ON))("%s is read by the module that acts on it", (_field, [file, reads]) => {
    const path = new URL(`../../../src/${file}`, import.meta.url);
    expect(existsSync(path)).toBe(true);
    expect(readFileSync(path, "utf8")).toMatch(new RegExp(String.raw`\b${reads}\b`));
  });

  test("has a consequence, in words, for a plan that changes it", () => {
    const identity = ["neurons.name", "models.id", "keys.id"];
    const without = FIELDS.filter(
      (field) => !identity.includes(field) && FIELD_CONSEQUENCES[comparedAs(field)] === undefined,
    );
    expect(without).toEqual([]);
  });
});

const WRITTEN: Readonly<Record<string, string>> = {
  "neurons.labels": "",
};

const fleetWith = (name: string): string => {
  const written = WRITTEN[name] ?? "?";
  const model = written.includes("[[models]]") ? "" : '[[models]]\nid = "m"\n';
  const labels = name === "neurons.labels" ? 'labels = { room = "a" }\n' : "";
  return `[fleet]\nname = "home"\n[[neurons]]\nname = "a"\nendpoint = "http://a:13131"\n${labels}${model}${written}`;
};

describe("a setting that nothing obeys yet", () => {
  test.each(Object.keys(NOT_USED_YET))("%s warns where it is written", (name) => {
    const result = parseFleet([{ path: "fleet.toml", text: fleetWith(name) }]);
    const codes = result.ok ? result.value.warnings.map(({ code }) => code) : result.error;
    expect(codes).toEqual(["CTX126"]);
  });

  test("is said once, with how often it occurs, and not where it asks for what happens anyway", () => {
    const neurons = ["a", "b", "c"]
      .map(
        (name) =>
          `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}:13131"\nlabels = { room = "x" }\n`,
      )
      .join("");
    const text = `[fleet]\nname = "home"\n[gitops]\nverify = "none"\n[[models]]\nid = "m"\n${neurons}`;
    const result = parseFleet([{ path: "fleet.toml", text }]);
    expect(result.ok ? result.value.warnings.map(({ message }) => message) : result.error).toEqual([
      "labels are neither shown nor decide anything yet; the same in 2 more places",
    ]);
  });
});
