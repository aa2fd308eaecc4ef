import { nearest } from "../../core/nearest.ts";
import { namesOf, type CheckContext } from "./declared-blocks.ts";
import type { Finding } from "../text/diagnostics.ts";
import type { KeyBlock } from "../schema/fleet-schema.ts";
import type { MergedFleetDocument } from "./merge-fleet-files.ts";
import { matchesPattern } from "../schema/model-pattern.ts";
import type { KeyPath } from "../../core/key-path.ts";

/** What no schema can state about [[keys]]: secrets in common, patterns that allow nothing, windows without a cap. */
export function keyFindings(context: CheckContext): Finding[] {
  const { declared, merged } = context;
  const ids = [...namesOf(declared.models), ...declared.aliases.map(({ alias }) => alias)];
  const keys = declared.keys.flatMap(({ block, path }) => (block === undefined ? [] : [{ block, path }]));
  return [
    ...sharedSecrets(keys, merged),
    ...keys.flatMap((key) => [...patternFindings(key, { ids, merged }), ...windowFindings(key, merged)]),
  ];
}

interface CheckedKey {
  readonly block: KeyBlock;
  readonly path: KeyPath;
}

function sharedSecrets(keys: readonly CheckedKey[], merged: MergedFleetDocument): Finding[] {
  const first = new Map<string, CheckedKey>();
  return keys.flatMap((key): Finding[] => {
    const earlier = first.get(key.block.hash);
    if (earlier === undefined) {
      first.set(key.block.hash, key);
      return [];
    }
    const { file, line, column } = merged.placeOfValue([...earlier.path, "hash"]);
    return [
      {
        code: "CTX121",
        at: merged.placeOfValue([...key.path, "hash"]),
        message: `the key \`${key.block.id}\` has the same secret as \`${earlier.block.id}\` in ${file}:${line}`,
        related: [{ file, line, column, message: "declared here first" }],
      },
    ];
  });
}

function patternFindings(
  { block, path }: CheckedKey,
  known: { readonly ids: readonly string[]; readonly merged: MergedFleetDocument },
): Finding[] {
  if (known.ids.length === 0) return [];
  return block.models.flatMap((pattern, index): Finding[] => {
    if (known.ids.some((id) => matchesPattern(pattern, id))) return [];
    const meant = nearest(pattern, known.ids);
    return [
      {
        code: "CTX122",
        at: known.merged.placeOfValue([...path, "models", index]),
        message: `\`${pattern}\` allows the key \`${block.id}\` no model of this fleet`,
        ...(meant === undefined ? {} : { help: `did you mean \`${meant}\`?` }),
      },
    ];
  });
}

function windowFindings({ block, path }: CheckedKey, merged: MergedFleetDocument): Finding[] {
  if (merged.valueAt([...path, "window"]) === undefined || block.hard_cap !== undefined) return [];
  const message = `\`window\` does nothing for the key \`${block.id}\`: it has no \`hard_cap\``;
  return [{ code: "CTX117", at: merged.placeOfKey([...path, "window"]), message }];
}
