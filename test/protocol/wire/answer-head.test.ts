import { describe, expect, test } from "vitest";
import { readAnswerHead, readTrailers } from "../../../src/protocol/wire/answer-head.ts";
import { idleTimeMs } from "../../../src/protocol/wire/idle-time.ts";
import { MalformedAnswer } from "../../../src/protocol/wire/malformed-answer.ts";
import { constantLines, requestHead } from "../../../src/protocol/wire/request-head.ts";

const OK = "HTTP/1.1 200 OK";
const head = (...lines: readonly string[]): string => lines.join("\r\n");
const bytes = (count: number) => ({ kind: "bytes", bytes: count });
const CHUNKS = { kind: "chunks" };
const OPEN = { kind: "open" };

describe("how long an answer is, and whether another may follow it", () => {
  test.each([
    { what: "a length", text: head(OK, "Content-Length: 5"), length: bytes(5), keeps: true },
    { what: "no body", text: head(OK, "content-length: 0"), length: bytes(0), keeps: true },
    { what: "zeros before it", text: head(OK, "content-length: 007"), length: bytes(7), keeps: true },
    {
      what: "the largest length",
      text: head(OK, "content-length: 999999999999999"),
      length: bytes(999_999_999_999_999),
      keeps: true,
    },
    { what: "chunks", text: head(OK, "Transfer-Encoding: chunked"), length: CHUNKS, keeps: true },
    {
      what: "chunks in large letters",
      text: head(OK, "TRANSFER-ENCODING:\tCHUNKED "),
      length: CHUNKS,
      keeps: true,
    },
    { what: "neither", text: head(OK, "x: 1"), length: OPEN, keeps: false },
    { what: "nothing but the first line", text: OK, length: OPEN, keeps: false },
    { what: "a status that has no body", text: "HTTP/1.1 204 No Content", length: bytes(0), keeps: true },
    {
      what: "304 with the length of another answer",
      text: head("HTTP/1.1 304 x", "content-length: 9"),
      length: bytes(0),
      keeps: true,
    },
    { what: "an informational one", text: "HTTP/1.1 103 Early Hints", length: bytes(0), keeps: true },
    {
      what: "close",
      text: head(OK, "content-length: 5", "Connection: close"),
      length: bytes(5),
      keeps: false,
    },
    {
      what: "Close",
      text: head(OK, "content-length: 5", "connection: Close"),
      length: bytes(5),
      keeps: false,
    },
    {
      what: "close in a list",
      text: head(OK, "content-length: 5", "connection: x,\tCLOSE , y"),
      length: bytes(5),
      keeps: false,
    },
    {
      what: "close in a second line",
      text: head(OK, "content-length: 5", "connection: keep-alive", "connection: close"),
      length: bytes(5),
      keeps: false,
    },
    {
      what: "a word that only begins so",
      text: head(OK, "content-length: 5", "connection: closed"),
      length: bytes(5),
      keeps: true,
    },
    {
      what: "HTTP/1.0 with a length",
      text: head("HTTP/1.0 200 OK", "content-length: 5"),
      length: bytes(5),
      keeps: false,
    },
    {
      what: "HTTP/1.0 that would keep",
      text: head("HTTP/1.0 200 OK", "content-length: 5", "connection: keep-alive"),
      length: bytes(5),
      keeps: false,
    },
    { what: "HTTP/1.0 without", text: "HTTP/1.0 200 OK", length: OPEN, keeps: false },
  ])("$what", ({ text, length, keeps }) => {
    expect(readAnswerHead(text)).toMatchObject({ length, keepsConnection: keeps });
  });
});

const HEADER_LINES: readonly {
  what: string;
  lines: readonly string[];
  headers: Readonly<Record<string, string | string[]>>;
}[] = [
  { what: "small letters, without blanks around", lines: ["X-One:\t 1 2 \t"], headers: { "x-one": "1 2" } },
  { what: "an empty value", lines: ["x:", "y: "], headers: { x: "", y: "" } },
  { what: "a colon in a value", lines: ["x: a: b"], headers: { x: "a: b" } },
  { what: "bytes beyond ASCII as they are", lines: ["x: \u00ff\u0080"], headers: { x: "\u00ff\u0080" } },
  {
    what: "one name several times",
    lines: ["x: 1", "y: 2", "X: 3", "x: 4"],
    headers: { x: ["1", "3", "4"], y: "2" },
  },
  {
    what: "names that every object has",
    lines: ["constructor: 1", "toString: 2", "constructor: 3"],
    headers: { constructor: ["1", "3"], tostring: "2" },
  },
  {
    what: "each character of a name",
    lines: ["!#$%&'*+-.^_`|~aZ09: 1"],
    headers: { "!#$%&'*+-.^_`|~az09": "1" },
  },
];

describe("status and headers", () => {
  test.each([
    { what: "a reason of several words", text: "HTTP/1.1 503 Service Unavailable, sorry", status: 503 },
    { what: "an empty reason", text: "HTTP/1.1 200 ", status: 200 },
    { what: "no reason", text: "HTTP/1.1 200", status: 200 },
    { what: "a reason beyond ASCII", text: "HTTP/1.1 418 th\u00e9i\u00e8re", status: 418 },
  ])("$what", ({ text, status }) => {
    expect(readAnswerHead(text)).toMatchObject({ status, headers: {} });
  });

  test.each(HEADER_LINES)("$what", ({ lines, headers }) => {
    expect({ ...readAnswerHead(head(OK, ...lines)).headers }).toEqual(headers);
    expect({ ...readTrailers(head("", ...lines)) }).toEqual(headers);
  });
});

describe("what no reader may take, or two might read in two ways", () => {
  test.each([
    ["two lengths", "content-length: 5\r\ncontent-length: 6"],
    ["one length twice", "content-length: 5\r\nContent-Length: 5"],
    ["a list of lengths", "content-length: 5, 5"],
    ["a length with a sign", "content-length: +5"],
    ["a length below zero", "content-length: -1"],
    ["a length with a blank within", "content-length: 1 2"],
    ["an empty length", "content-length:"],
    ["a length in hexadecimal digits", "content-length: 0x5"],
    ["a length with a fraction", "content-length: 5.0"],
    ["a length that no number holds", "content-length: 9999999999999999"],
    ["another coding", "transfer-encoding: gzip"],
    ["another coding before chunks", "transfer-encoding: gzip, chunked"],
    ["another coding behind chunks", "transfer-encoding: chunked, identity"],
    ["chunks twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked"],
    ["a coding of a similar name", "transfer-encoding: xchunked"],
    ["chunks in quotes", 'transfer-encoding: "chunked"'],
    ["an empty coding", "transfer-encoding:"],
    ["length and chunks", "content-length: 5\r\ntransfer-encoding: chunked"],
    ["chunks and length", "transfer-encoding: chunked\r\ncontent-length: 5"],
  ])("%s", (_what, lines) => {
    expect(() => readAnswerHead(head(OK, lines))).toThrow(MalformedAnswer);
    // A status without a body is no excuse.
    expect(() => readAnswerHead(head("HTTP/1.1 304 x", lines))).toThrow(MalformedAnswer);
  });

  test.each([
    ["204 with a body", "HTTP/1.1 204 x", "content-length: 1"],
    ["204 with chunks", "HTTP/1.1 204 x", "transfer-encoding: chunked"],
    ["100 with a body", "HTTP/1.1 100 x", "content-length: 1"],
    ["103 with chunks", "HTTP/1.1 103 x", "transfer-encoding: chunked"],
    ["HTTP/1.0 with chunks", "HTTP/1.0 200 OK", "transfer-encoding: chunked"],
  ])("%s", (_what, ...lines) => {
    expect(() => readAnswerHead(head(...lines))).toThrow(MalformedAnswer);
  });

  test.each([
    "",
    "HTTP/1.1",
    "HTTP/1.1 20",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 2x0 OK",
    "HTTP/1.1 200OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/11 200 OK",
    "http/1.1 200 OK",
    " HTTP/1.1 200 OK",
    "ICY 200 OK",
    "\r\nHTTP/1.1 200 OK",
    "200 OK",
    "\u0660HTTP/1.1 200 OK",
    "HTTP/1.1 \u0662\u0660\u0660 OK",
  ])("first line %j", (line) => {
    expect(() => readAnswerHead(line)).toThrow(MalformedAnswer);
    expect(() => readAnswerHead(head(line, "content-length: 0"))).toThrow(MalformedAnswer);
  });

  test.each([
    ["a folded line", "x: 1\r\n 2"],
    ["a folded line with a colon", "x: 1\r\n\tcontent-length: 2"],
    ["a fold at once", " x: 1"],
    ["no colon", "x"],
    ["no colon, with one in the next line", "x\r\ny: 1"],
    ["no name", ": 1"],
    ["a blank before the colon", "x : 1"],
    ["a tab before the colon", "x\t: 1"],
    ["a blank in the name", "content length: 1"],
    ["a name beyond ASCII", "\u00e9: 1"],
    ["a name in brackets", "(x): 1"],
    ["a name with a quote", 'x": 1'],
    ["the setter of every object", "__proto__: 1"],
    ["the same in large letters", "__PROTO__: 1"],
    ["NUL in a value", "x: \0"],
    ["NUL in a name", "x\0: 1"],
    ["DEL", "x: \u007f"],
    ["escape", "x: \u001b[2J"],
    ["vertical tab", "x: \u000b"],
    ["a bare CR in a value", "x: 1\rcontent-length: 5"],
    ["a bare CR before the name", "\rx: 1"],
    ["CR twice", "x: 1\r\r\ny: 2"],
    ["a bare LF", "x: 1\ny: 2"],
    ["LF and CR", "x: 1\n\ry: 2"],
    ["a bare LF at the end", "x: 1\n"],
    ["a bare CR at the end", "x: 1\r"],
  ])("%s", (_what, lines) => {
    expect(() => readAnswerHead(head(OK, "a: b", lines))).toThrow(MalformedAnswer);
    expect(() => readTrailers(head("", "a: b", lines))).toThrow(MalformedAnswer);
  });

  test("a name that was refused is refused again, and one that was taken is found by its letters alone", () => {
    for (let time = 0; time < 2; time += 1) {
      expect(() => readAnswerHead(head(OK, "once again: 1"))).toThrow(MalformedAnswer);
      expect(readAnswerHead(head(OK, "Once-Again: 1")).headers).toEqual({ "once-again": "1" });
      expect(readAnswerHead(head(OK, "oNCE-Again: 1")).headers).toEqual({ "once-again": "1" });
    }
  });

  test("more names than are remembered", () => {
    const names = Array.from({ length: 1000 }, (_, at) => `X-Rare-${at}`);
    const { headers } = readAnswerHead(head(OK, ...names.map((name) => `${name}: ${name}`)));
    expect(headers).toEqual(Object.fromEntries(names.map((name) => [name.toLowerCase(), name])));
  });
});

describe("how long a connection may lie idle", () => {
  test.each([
    ["nothing", undefined, 4000],
    ["five seconds", "timeout=5", 4000],
    ["among others", "max=100, timeout=72", 60_000],
    ["half a minute", "timeout=30, max=5", 29_000],
    ["one second: no time at all", "timeout=1", 0],
    ["no second", "timeout=0", 0],
    ["for ever", "timeout=99999999999", 60_000],
    ["no number", "timeout=soon", 4000],
    ["twice", ["timeout=5", "timeout=9"], 4000],
  ])("%s", (_what, told, expected) => {
    expect(idleTimeMs(told === undefined ? {} : { "keep-alive": told })).toBe(expected);
  });
});

describe("the head of a request", () => {
  const constant = constantLines("beast:8080", { authorization: "Bearer secret" });

  test("has its own lines first, its length last, and an empty line", () => {
    const request = {
      path: "/v1/x?y=1",
      headers: { "Content-Type": "application/json", x: "\u00ff" },
      constant,
    };
    expect(requestHead(request, 17)).toBe(
      head(
        "POST /v1/x?y=1 HTTP/1.1",
        "host: beast:8080",
        "connection: keep-alive",
        "authorization: Bearer secret",
        "Content-Type: application/json",
        "x: \u00ff",
        "content-length: 17",
        "",
        "",
      ),
    );
  });

  test.each([
    "authorization",
    "Authorization",
    "host",
    "Connection",
    "content-length",
    "Content-Length",
    "transfer-encoding",
  ])("%s is not the request's to say", (name) => {
    const plain = requestHead({ path: "/", headers: {}, constant }, 0);
    expect(requestHead({ path: "/", headers: { [name]: "chunked" }, constant }, 0)).toBe(plain);
  });

  test.each([
    { what: "a path with a blank", path: "/a b", headers: {} },
    { what: "a path with another line", path: "/a\r\nx:", headers: {} },
    { what: "a path of another host", path: "http://other/", headers: {} },
    { what: "an empty path", path: "", headers: {} },
    { what: "a path beyond ASCII", path: "/\u00e9", headers: {} },
    { what: "a value with another line", path: "/", headers: { x: "1\r\ny: 2" } },
    { what: "a value with LF", path: "/", headers: { x: "1\n" } },
    { what: "a value with NUL", path: "/", headers: { x: "\0" } },
    { what: "a value that is no latin1", path: "/", headers: { x: "\u0159" } },
    { what: "a name with a colon", path: "/", headers: { "x:": "1" } },
    { what: "a name with another line", path: "/", headers: { "x\r\ny": "1" } },
    { what: "an empty name", path: "/", headers: { "": "1" } },
  ])("$what is refused", ({ path, headers }) => {
    expect(() => requestHead({ path, headers, constant }, 0)).toThrow(TypeError);
  });

  test("a value that is refused is not told, since it may be a secret", () => {
    const headers = { "x-key": "secret\n" };
    expect(() => requestHead({ path: "/", headers, constant }, 0)).toThrow(
      new TypeError("the header x-key has characters that no header has"),
    );
  });
});
