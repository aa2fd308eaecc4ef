import type { CheckContext } from "./declared-blocks.ts";
import type { Finding } from "../text/diagnostics.ts";

/**
 * Settings that are part of the format before a process acts on them, where believing in them would do harm: an
 * endpoint that is thought to ask for keys, an engine that no neuron attaches to. Each goes from here with the change
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
    if (block?.harness !== "openai") continue;
    const message = `neurons of this version do not attach to external engines; \`${block.id}\` cannot be placed`;
    findings.push({ code: "CTX126", at: merged.placeOfValue([...path, "harness"]), message });
  }
  return findings;
}
