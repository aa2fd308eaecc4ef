import type { Clock } from "../../core/clock.ts";
import { type LoopStatus, loopStatusSchema } from "../../protocol/findings/loop-status.ts";
import { askGateway } from "./ask-gateway.ts";

/** What a reconcile loop says of itself, at the address of its `--listen`. Throws as `askGateway` does. */
export const readLoop = ({ baseUrl }: { readonly baseUrl: string }, clock: Clock): Promise<LoopStatus> =>
  askGateway({ baseUrl, apiKey: undefined, clock }, { path: "/status", schema: loopStatusSchema });
