import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";

/** Of Node's `IncomingMessage`, what the gateway uses. */
export interface RequestHead {
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
}
