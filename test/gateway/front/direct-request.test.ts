import { Socket } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { DirectRequest } from "../../../src/gateway/front/io/direct-request.ts";

const LIMITS = { maxBytes: 1000, minBytesPerSec: 0 };
const HEAD = { url: "/v1/chat/completions", headers: {}, bodyBytes: 4, closes: false };

test("a body that has come is there at once, and what is not its own is given back", () => {
  const request = new DirectRequest(HEAD, new Socket());
  expect(request.take(Buffer.from("ab")).length).toBe(0);
  expect(request.take(Buffer.from("cdef")).toString()).toBe("ef");
  expect(request.readBody(LIMITS, systemClock)).toEqual(Buffer.from("abcd"));
});

test("of a client that has left before it was its turn nothing is waited for", () => {
  const socket = new Socket();
  const request = new DirectRequest(HEAD, socket);
  request.take(Buffer.from("ab"));
  socket.destroy();
  request.connectionGone();
  expect(() => request.readBody(LIMITS, systemClock)).toThrow(
    expect.objectContaining({ code: "request_incomplete" }),
  );
});
