import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "undici";

/*
 * The yardstick: what Node's HTTP server and undici cost without anything between them. No product, only a bound.
 * `node bare-relay.ts UPSTREAM_PORT`; prints its port.
 */

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, { headersTimeout: 0, bodyTimeout: 0 });

const server = createServer({ keepAliveTimeout: 300_000, requestTimeout: 0 }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = chunks.length === 1 ? (chunks[0] ?? null) : Buffer.concat(chunks);
    pool.dispatch(
      {
        method: "POST",
        path: request.url ?? "/",
        headers: { "content-type": "application/json" },
        body,
      },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, status, headers) => {
          for (const name of ["transfer-encoding", "connection", "keep-alive", "trailer"])
            delete headers[name];
          response.writeHead(status, headers);
        },
        onResponseData: (controller, chunk) => {
          if (response.write(chunk)) return;
          controller.pause();
          response.once("drain", () => {
            controller.resume();
          });
        },
        onResponseEnd: () => {
          response.end();
        },
        onResponseError: (_controller, error) => {
          response.destroy(error);
        },
      },
    );
  });
});
server.listen(0, "127.0.0.1", 4096, () => {
  console.log((server.address() as AddressInfo).port);
});
