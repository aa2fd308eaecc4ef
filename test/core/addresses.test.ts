import { expect, test } from "vitest";
import { isLoopback, localUrl, parseHostAndPort } from "../../src/core/addresses.ts";

test.each([
  ["127.0.0.1:31313", { host: "127.0.0.1", port: 31_313 }, "http://127.0.0.1:31313"],
  ["0.0.0.0:80", { host: "0.0.0.0", port: 80 }, "http://127.0.0.1:80"],
  ["[::1]:13131", { host: "::1", port: 13_131 }, "http://[::1]:13131"],
  ["[::]:13131", { host: "::", port: 13_131 }, "http://[::1]:13131"],
  ["beast.internal:1", { host: "beast.internal", port: 1 }, "http://beast.internal:1"],
])("%s", (text, address, url) => {
  expect(parseHostAndPort(text)).toEqual(address);
  expect(localUrl(address)).toBe(url);
});

test.each([
  ["127.0.0.1", true],
  ["127.9.8.7", true],
  ["localhost", true],
  ["::1", true],
  ["0.0.0.0", false],
  ["127.evil.example", false],
  ["::", false],
  ["127.0.0.1.example.org", false],
  ["10.0.0.1", false],
])("%s is loopback: %s", (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback);
});
