import { usageReportSchema, type UsageReport } from "../../protocol/gateway-api.ts";
import { askGateway, type GatewayAccess } from "./ask-gateway.ts";

export interface ReadUsageOptions extends GatewayAccess {
  readonly sinceMs: number;
}

/** `GET /usage`. Throws the gateway's own error, or `upstream_connection_error` where none answers. */
export const readUsage = ({ sinceMs, ...gateway }: ReadUsageOptions): Promise<UsageReport> =>
  askGateway(gateway, {
    path: `/usage?since_ms=${Math.max(0, Math.floor(sinceMs))}`,
    schema: usageReportSchema,
  });
