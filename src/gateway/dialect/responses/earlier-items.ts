import { CortexError } from "../../../core/errors.ts";
import type { AnswerMemory } from "../contract/answer-shelf.ts";
import { responsesRequestSchema, type Item, type ResponsesRequest } from "./responses-shape.ts";

const FORGOTTEN =
  "it was answered with `store: false`, too long ago, by another gateway or for another key, there was no room for it, or a request was longer than 128 KiB";
const SEND_ALL = "send the whole conversation as `input`, as clients do with `store: false`";

/** What the request goes on from. Throws `previous_response_not_found`. */
export function earlierItems(
  { previous_response_id: id }: ResponsesRequest,
  memory: AnswerMemory | undefined,
): readonly Item[] {
  if (id == null) return [];
  const kept = memory?.conversation(id) ?? null;
  if (kept === null) {
    throw new CortexError(
      "previous_response_not_found",
      `the response ${id} is not kept here: ${FORGOTTEN}`,
      {
        param: "previous_response_id",
        next: SEND_ALL,
      },
    );
  }
  return itemsIn(kept);
}

/** What the request says itself, with the items that it only names. */
export function ownItems({ input }: ResponsesRequest, memory: AnswerMemory | undefined): readonly Item[] {
  if (input == null) return [];
  if (typeof input === "string") return [{ type: "message", role: "user", content: input }];
  return input.map((item, index) =>
    item.type === "item_reference" ? named(item, `input.${index}`, memory) : item,
  );
}

function named(item: Item, param: string, memory: AnswerMemory | undefined): Item {
  const id = typeof item["id"] === "string" ? item["id"] : "";
  const kept = memory?.item(id);
  if (kept !== undefined) return itemsIn([kept])[0] ?? item;
  throw new CortexError(
    "previous_response_not_found",
    `\`${param}\`: the item ${id} is not kept here: ${FORGOTTEN}`,
    {
      param,
      next: "send the item itself; with `store: false` clients do so",
    },
  );
}

/** They were read before they were kept, or made here. */
function itemsIn(kept: readonly unknown[]): readonly Item[] {
  const { input } = responsesRequestSchema.parse({ model: "kept", input: kept });
  return typeof input === "string" || input == null ? [] : input;
}
