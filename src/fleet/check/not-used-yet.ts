import type { CheckContext } from "./declared-blocks.ts";
import type { Finding } from "../text/diagnostics.ts";
import { parseSource } from "../schema/model-source.ts";

/**
 * Settings that are part of the format before a process acts on them, where believing in them would do harm: an
 * endpoint that is thought to ask for keys, a model that no neuron can fetch. Each goes from here with the change
 * that makes it work.
 */
export function unusedFindings({ declared, merged }: CheckContext): Finding[] {
  const findings: Finding[] = [];
  const [firstKey] = declared.keys;
  if (firstKey !== undefined) {
    findings.push({
      code: "CTX126",
      at: merged.placeOfKey(firstKey.path),
      message: "the gateway of this version does not ask for keys: whoever reaches it may use it",
      help: "keep `listen` on loopback or behind a proxy that checks, until keys are enforced",
    });
  }
  for (const { block, path } of declared.models) {
    if (block === undefined) continue;
    if (block.harness === "openai") {
      const message = `neurons of this version do not attach to external engines; \`${block.id}\` cannot be placed`;
      findings.push({ code: "CTX126", at: merged.placeOfValue([...path, "harness"]), message });
    }
    const source = block.source === undefined ? undefined : parseSource(block.source);
    if (source?.ok !== true || (source.value.kind !== "hf" && source.value.kind !== "https")) continue;
    findings.push({
      code: "CTX126",
      at: merged.placeOfValue([...path, "source"]),
      message: `neurons of this version do not download; loading \`${block.id}\` will fail`,
      help: "fetch the file to the neurons and write its path (file:/...) or its name in the model store",
    });
  }
  return findings;
}
