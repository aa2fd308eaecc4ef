import type { ServerResponse } from "node:http";
import {
  formatUsage,
  NO_USAGE,
  USAGE_HEADER,
  type TokenUsage,
} from "../../../src/protocol/headers/usage-header.ts";

/** Of a stream only the prompt is known at its beginning. */
export const promptOf = ({ promptTokens }: TokenUsage) => ({
  [USAGE_HEADER]: formatUsage({ ...NO_USAGE, promptTokens }),
});

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(bytes),
  });
  response.end(bytes);
}
