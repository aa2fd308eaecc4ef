import type { KeyBlock } from "../../fleet/schema/fleet-schema.ts";
import { formatDuration } from "../../core/quantities.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

/** A key without its hash: a listing may be pasted anywhere. */
export type ListedKey = Omit<KeyBlock, "hash">;

export function keysView(keys: readonly KeyBlock[]): View<readonly ListedKey[]> {
  const listed = keys.map(({ hash: _hash, ...rest }) => rest);
  return {
    json: listed,
    human: () =>
      listed.length === 0
        ? "The fleet declares no key: on this machine the gateway serves whoever reaches it. cortex key create NAME makes one."
        : tableText(["KEY", "ROLE", "MODELS", "LIMITS"], listed.map(keyRow)),
  };
}

const keyRow = (key: ListedKey): string[] => [key.id, key.role, key.models.join(", "), limits(key)];

function limits({
  hard_cap: cap,
  window,
  requests_per_minute: rpm,
  parallel_requests: parallel,
}: ListedKey): string {
  const over = window.kind === "rolling" ? ` in ${formatDuration(window.seconds * 1000)}` : " in all";
  const said = [
    ...(cap === undefined ? [] : [`${cap} tokens${over}`]),
    ...(rpm === undefined ? [] : [`${rpm} requests a minute`]),
    ...(parallel === undefined ? [] : [`${parallel} at a time`]),
  ];
  return said.length === 0 ? "none" : said.join(", ");
}
