import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Outbox } from "../../../src/controller/reconcile/io/outbox.ts";
import { eventually } from "../../support/eventually.ts";
import { HurriedClock } from "../../support/hurried-clock.ts";
import { ManualClock } from "../../support/manual-clock.ts";

interface Reception extends AsyncDisposable {
  readonly url: string;
  readonly received: { readonly body: string; readonly authorization: string | undefined }[];
}

/** A receiver on loopback that answers with these, the last for ever; 0: nothing at all. */
async function receiver(
  ...answers: (readonly [status: number, headers?: Record<string, string>])[]
): Promise<Reception> {
  const received: Reception["received"][number][] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => void chunks.push(chunk));
    request.on("end", () => {
      const [status, headers] = answers[Math.min(received.length, answers.length - 1)] ?? [200];
      received.push({ body: Buffer.concat(chunks).toString(), authorization: request.headers.authorization });
      if (status !== 0) response.writeHead(status, headers).end("said");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function outboxOf(clock: HurriedClock | ManualClock) {
  const problems: string[] = [];
  const outbox = new Outbox({ name: "the host", clock, onProblem: (text) => void problems.push(text) });
  return { outbox, problems };
}

const delivery = (url: string, body: string) => ({ url, body, headers: { authorization: "Bearer t0ken" } });

test("what a receiver cannot take now is sent again, and in order", async () => {
  await using host = await receiver([503], [429, { "retry-after": "1" }], [201]);
  const { outbox, problems } = outboxOf(new HurriedClock());
  outbox.post(delivery(host.url, "one"));
  outbox.post(delivery(host.url, "two"));
  await outbox.close(1000);
  expect(host.received.map(({ body }) => body)).toEqual(["one", "one", "one", "two"]);
  expect(host.received[0]?.authorization).toBe("Bearer t0ken");
  expect(problems).toEqual([]);
});

test("what is refused is told once, without the address, and what comes after it is sent", async () => {
  await using host = await receiver([401], [201]);
  const { outbox, problems } = outboxOf(new HurriedClock());
  outbox.post(delivery(host.url, "one"));
  outbox.post(delivery(host.url, "two"));
  await outbox.close(1000);
  expect(host.received.map(({ body }) => body)).toEqual(["one", "two"]);
  expect(problems).toEqual(["the host was not told: it answers 401"]);
});

test("a receiver that is down is given up in the end, and a redirect is not followed with the token", async () => {
  const gone = await receiver([200]);
  await gone[Symbol.asyncDispose]();
  const { outbox, problems } = outboxOf(new HurriedClock());
  outbox.post(delivery(gone.url, "one"));
  await outbox.close(1000);
  expect(problems).toEqual(["the host was not told: ECONNREFUSED, 6 times"]);

  await using other = await receiver([200]);
  await using host = await receiver([302, { location: other.url }]);
  outbox.post(delivery(host.url, "closed"));
  const again = outboxOf(new HurriedClock());
  again.outbox.post(delivery(host.url, "two"));
  await again.outbox.close(1000);
  expect([host.received.length, other.received]).toEqual([1, []]);
});

test("nobody waits for a receiver that says nothing: to post returns at once, and to close ends with its grace", async () => {
  await using host = await receiver([0]);
  const clock = new ManualClock();
  const { outbox, problems } = outboxOf(clock);
  for (let count = 0; count < 200; count += 1) outbox.post(delivery(host.url, String(count)));
  await eventually(() => Promise.resolve(expect(host.received).toHaveLength(1)));
  const closed = outbox.close(5000);
  await clock.advance(5000);
  await closed;
  // Of what waited the latest 50 were kept, and nothing of it is sent any more.
  expect(problems).toEqual([
    "the host was not told: the loop has ended",
    "the host was not told 50 more: the loop has ended",
  ]);
  expect(host.received).toHaveLength(1);
});
