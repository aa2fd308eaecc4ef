import { describe, expect, test } from "vitest";
import { readDirectHead } from "../../../src/gateway/front/direct-head.ts";

const lines = (...more: readonly string[]): string =>
  ["POST /v1/chat/completions HTTP/1.1", ...more].join("\r\n");
const plain = (...more: readonly string[]): string => lines("host: here", "content-length: 7", ...more);

describe("read as it is", () => {
  test.each<{ what: string; text: string; more?: Record<string, string> }>([
    { what: "names in any case", text: lines("HOST: here", "Content-LENGTH: 7") },
    { what: "blanks and tabs around values", text: lines("host: \t here \t", "content-length:7") },
    { what: "a wish to go on", text: plain("connection: Keep-Alive"), more: { connection: "Keep-Alive" } },
    { what: "a name of every object", text: plain("constructor: x"), more: { constructor: "x" } },
    {
      what: "letters of Latin-1, blank ones too",
      text: plain("x: \u00a0\u00fc"),
      more: { x: "\u00a0\u00fc" },
    },
    { what: "an empty value", text: plain("x:"), more: { x: "" } },
  ])("$what", ({ text, more = {} }) => {
    expect(readDirectHead(text)).toEqual({
      url: "/v1/chat/completions",
      headers: { host: "here", "content-length": "7", ...more },
      bodyBytes: 7,
      closes: false,
    });
  });

  test("a query stays with the URL, and a wish to end is heard", () => {
    const text = "POST /v1/x?a=%20b HTTP/1.1\r\nhost: here\r\ncontent-length: 12\r\nConnection: CLOSE";
    expect(readDirectHead(text)).toMatchObject({ url: "/v1/x?a=%20b", bodyBytes: 12, closes: true });
  });
});

describe("left to Node", () => {
  test.each([
    ["another method", "GET / HTTP/1.1\r\nhost: here\r\ncontent-length: 7"],
    ["a method in small letters", plain().replace("POST", "post")],
    ["HTTP/1.0", plain().replace("HTTP/1.1", "HTTP/1.0")],
    ["HTTP/2.0", plain().replace("HTTP/1.1", "HTTP/2.0")],
    ["an absolute URL", plain().replace("/v1", "http://here/v1")],
    ["no path", plain().replace("/v1/chat/completions", "*")],
    ["two blanks in the first line", plain().replace(" HTTP", "  HTTP")],
    ["letters beyond ASCII in the path", plain().replace("/v1", "/\u00fc")],
    ["no headers", "POST / HTTP/1.1"],
    ["no host", lines("content-length: 7")],
    ["two hosts", plain("host: there")],
    ["no length", lines("host: here")],
    ["two lengths", plain("content-length: 7")],
    ["two lengths in one", lines("host: here", "content-length: 7, 7")],
    ["a length with a sign", lines("host: here", "content-length: +7")],
    ["a length that is negative", lines("host: here", "content-length: -7")],
    ["a length with a blank inside", lines("host: here", "content-length: 7 7")],
    ["a length in another base", lines("host: here", "content-length: 0x7")],
    ["a length that begins with zero", lines("host: here", "content-length: 07")],
    ["a length of zero", lines("host: here", "content-length: 0")],
    ["a length beyond all numbers", lines("host: here", "content-length: 9999999999999999")],
    ["a length of nothing", lines("host: here", "content-length:")],
    ["chunks", lines("host: here", "transfer-encoding: chunked")],
    ["chunks and a length", plain("transfer-encoding: chunked")],
    ["a body that is encoded", plain("content-encoding: gzip")],
    ["an expectation", plain("expect: 100-continue")],
    ["a change of protocol", plain("upgrade: h2c")],
    ["a connection that names headers", plain("connection: keep-alive, x-hop")],
    ["trailers", plain("trailer: x")],
    ["what proxies say of the connection", plain("proxy-connection: close")],
    ["what Node has as a list", plain("set-cookie: a=b")],
    ["a header that comes twice", plain("accept: a", "Accept: b")],
    ["a line that is folded", plain("x: a", " b")],
    ["a blank before the colon", lines("host : here", "content-length: 7")],
    ["a line without a colon", plain("x")],
    ["a line without a name", plain(": x")],
    ["a name that is none", plain("x(y): z")],
    ["the prototype", plain("__PROTO__: x")],
    ["a bare line feed", plain("x: a\nb: c")],
    ["a bare return", plain("x: a\rb: c")],
    ["a null", plain("x: a\0b")],
    ["a line before the first", `\r\n${plain()}`],
  ])("%s", (_what, text) => {
    expect(readDirectHead(text)).toBeNull();
  });
});
