import { fleetStateSchema, type FleetState } from "../../protocol/gateway-api.ts";
import { askGateway, type GatewayAccess } from "./ask-gateway.ts";

/** `GET /fleet`. Throws like `askGateway`. */
export const readFleetState = (gateway: GatewayAccess): Promise<FleetState> =>
  askGateway(gateway, { path: "/fleet", schema: fleetStateSchema });
