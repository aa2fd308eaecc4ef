import fc from "fast-check";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { ClientResponse } from "../../../src/gateway/relay/io/client-response.ts";

test("what is framed here reads as what was written, whatever the pieces", async () => {
  let pieces: readonly Buffer[] = [];
  const server = createServer((_request, raw) => {
    const client = new ClientResponse(raw, {});
    client.writeHead(200, { "content-type": "text/event-stream" });
    for (const piece of pieces) client.write(piece);
    client.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const piece = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 5 }), async (written) => {
        pieces = written;
        const answer = await fetch(`http://127.0.0.1:${port}/`);
        expect(Buffer.from(await answer.arrayBuffer()).equals(Buffer.concat(written))).toBe(true);
      }),
      { numRuns: 60 },
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
