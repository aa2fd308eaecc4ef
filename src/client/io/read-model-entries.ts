import { z } from "zod";
import { askGateway, type GatewayAccess } from "./ask-gateway.ts";

/** Of the list, what a conversation is begun by; other servers than ours have nothing but ids. */
const listSchema = z.object({
  data: z.array(
    z.object({ id: z.string(), loaded: z.boolean().optional(), alias_of: z.string().optional() }),
  ),
});

/** `GET /v1/models`. Throws like `askGateway`. */
export const readModelEntries = async (gateway: GatewayAccess): Promise<z.infer<typeof listSchema>["data"]> =>
  (await askGateway(gateway, { path: "/v1/models", schema: listSchema })).data;
