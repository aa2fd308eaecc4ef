import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { askGateway } from "./ask-gateway.ts";

/** The part of the list that settings are made of; other servers have less. */
const listSchema = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      limit: z.object({ context: z.int() }).nullish(),
      max_model_len: z.int().nullish(),
    }),
  ),
});

export interface NamedModel {
  readonly id: string;
  readonly context: number | null;
}

/** What an endpoint lists, of the model that is named, or of its first; null where it does not answer or lists nothing. */
export async function readModel(
  gateway: { readonly baseUrl: string; readonly apiKey: string | undefined; readonly clock: Clock },
  name: string | undefined,
): Promise<NamedModel | null> {
  const list = await askGateway(gateway, { path: "/v1/models", schema: listSchema }).catch(
    (thrown: unknown) => {
      // Settings can be made of what was named: that nobody answers is no reason not to.
      if (thrown instanceof CortexError && thrown.code === "upstream_connection_error") return { data: [] };
      throw thrown;
    },
  );
  const found = name === undefined ? list.data[0] : list.data.find(({ id }) => id === name);
  if (found === undefined) return null;
  return { id: found.id, context: found.limit?.context ?? found.max_model_len ?? null };
}
