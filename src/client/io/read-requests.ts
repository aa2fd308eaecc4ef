import {
  requestExplanationSchema,
  requestListSchema,
  type RequestExplanation,
  type RequestList,
} from "../../protocol/request-explanation.ts";
import { askGateway, type GatewayAccess } from "./ask-gateway.ts";

/** `GET /fleet/requests`, the latest first. Throws like `askGateway`. */
export const readRequests = (gateway: GatewayAccess, limit: number): Promise<RequestList> =>
  askGateway(gateway, { path: `/fleet/requests?limit=${limit}`, schema: requestListSchema });

/** `GET /fleet/requests/{id}`. Throws `request_not_found` too. */
export const readRequest = (gateway: GatewayAccess, requestId: string): Promise<RequestExplanation> =>
  askGateway(gateway, {
    path: `/fleet/requests/${encodeURIComponent(requestId)}`,
    schema: requestExplanationSchema,
  });
