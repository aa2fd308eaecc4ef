import fc from "fast-check";

/* Answers of HTTP as bytes, as they should be and spoilt. */

const CRLF = "\r\n";

/** Bytes cut at these places, each taken modulo their number. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % bytes.length))].sort((left, right) => left - right);
  return [...cuts, bytes.length]
    .map((end, at) => bytes.subarray(at === 0 ? 0 : cuts[at - 1], end))
    .filter(({ length }) => length > 0);
}

export const eachByte = (bytes: Buffer): Buffer[] => cutAt(bytes, [...bytes.keys()]);

interface Framed {
  readonly lines: readonly string[];
  readonly sent: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
  readonly ends: "itself" | "with the connection";
}

export interface RawAnswer {
  readonly bytes: Buffer;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly framed: Framed;
}

/** Those that look like what stands between them are the likeliest to be misread. */
export const anyBody = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(fc.constantFrom("\r", "\n", "\r\n", "0", "a", "5;", "HTTP/1.1 200 OK\r\n", "data: 1\n\n"), {
      maxLength: 20,
    })
    .map((parts) => Buffer.from(parts.join(""))),
);
const token = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{0,8}$/);
const value = fc.stringMatching(/^([!-~\xa1-\xff]([ \t!-~\xa1-\xff]{0,12}[!-~\xa1-\xff])?)?$/);
const headers = fc.dictionary(token, value, { maxKeys: 4, noNullPrototype: true });
const extension = fc.constantFrom("", "", "", ";a", ";a=b", '; a="b c;\t\\""', ";x;y=2");
const lines = (pairs: Readonly<Record<string, string>>): string[] =>
  Object.entries(pairs).map(([name, text]) => `${name}:  ${text}\t`);

function inChunks(
  whole: Buffer,
  {
    places,
    exts,
    trailers,
  }: { places: readonly number[]; exts: readonly string[]; trailers: Readonly<Record<string, string>> },
): Framed {
  const sent: Buffer[] = [];
  for (const [at, piece] of (whole.length === 0 ? [] : cutAt(whole, places)).entries()) {
    const size = piece.length.toString(16);
    const spelt = at % 2 === 0 ? size : `00${size.toUpperCase()}`;
    sent.push(Buffer.from(`${spelt}${exts[at % exts.length] ?? ""}${CRLF}`), piece, Buffer.from(CRLF));
  }
  const last = [`0${exts[0] ?? ""}`, ...lines(trailers), "", ""].join(CRLF);
  return {
    lines: ["Transfer-Encoding: chunked"],
    sent: Buffer.concat([...sent, Buffer.from(last, "latin1")]),
    trailers,
    ends: "itself",
  };
}

const framing = fc.oneof(
  fc.constant((whole: Buffer): Framed => ({
    lines: [`Content-Length: ${whole.length}`],
    sent: whole,
    trailers: {},
    ends: "itself",
  })),
  fc.constant((whole: Buffer): Framed => ({
    lines: [],
    sent: whole,
    trailers: {},
    ends: "with the connection",
  })),
  fc
    .record({
      places: fc.array(fc.nat(), { maxLength: 5 }),
      exts: fc.array(extension, { minLength: 1, maxLength: 3 }),
      trailers: headers,
    })
    .map((form) => (whole: Buffer) => inChunks(whole, form)),
);

const informational = fc.array(
  fc.constantFrom("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
  { maxLength: 2 },
);

/** With any body, in any framing, and informational ones before it. */
export const rawAnswer: fc.Arbitrary<RawAnswer> = fc
  .record({
    status: fc.integer({ min: 200, max: 599 }).filter((code) => code !== 204 && code !== 304),
    headers,
    body: anyBody,
    framing,
    informational,
  })
  .map(({ status, headers: told, body: whole, framing: frame, informational: before }) => {
    const framed = frame(whole);
    const head = [`HTTP/1.1 ${status} Words`, ...lines(told), ...framed.lines, "", ""].join(CRLF);
    const bytes = Buffer.concat([Buffer.from(before.join("") + head, "latin1"), framed.sent]);
    return { bytes, status, headers: told, body: whole, framed };
  });

/** A change of one byte. */
const damage = fc.record({
  kind: fc.constantFrom("changed", "inserted", "removed"),
  at: fc.nat(),
  byte: fc.oneof(
    fc.constantFrom(...Buffer.from("\r\n\0 \t:;,-+_0123456789abcdefx/.").values()),
    fc.nat({ max: 255 }),
  ),
});
type Damage = typeof damage extends fc.Arbitrary<infer Value> ? Value : never;

function damaged(bytes: Buffer, damages: readonly Damage[]): Buffer {
  let now = bytes;
  for (const { kind, at, byte } of damages) {
    const place = at % (now.length + 1);
    const behind = kind === "inserted" ? place : place + 1;
    now = Buffer.concat([
      now.subarray(0, place),
      Buffer.from(kind === "removed" ? [] : [byte]),
      now.subarray(behind),
    ]);
  }
  return now;
}

/** Heads at the borders of what is allowed, and whole answers of all kinds. */
const startLine = fc.constantFrom(
  "HTTP/1.1 200 OK",
  "HTTP/1.1 200 OK",
  "HTTP/1.1 500 ",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 204 No",
  "HTTP/1.1 304 x",
);
const borderLine = fc.oneof(
  { arbitrary: fc.constantFrom("content-length: 3", "Transfer-Encoding: Chunked"), weight: 3 },
  {
    arbitrary: fc.constantFrom(
      "content-length: 0",
      "content-length: 3, 3",
      "content-length: +3",
      "content-length : 3",
      "transfer-encoding: identity",
      "transfer-encoding: gzip, chunked",
      "transfer-encoding: chunked, identity",
      "transfer-encoding : chunked",
    ),
    weight: 2,
  },
  {
    arbitrary: fc.constantFrom(
      "connection: close",
      "connection: upgrade",
      "upgrade: x",
      " folded",
      "x: 1",
      "x",
    ),
    weight: 1,
  },
);
const borderBody = fc.constantFrom(
  "",
  "abc",
  "3\r\nabc\r\n0\r\n\r\n",
  "3\r\nabc\r\n0\r\n\r\n",
  "3;a=b\r\nabc\r\n0\r\nx: 1\r\n\r\n",
  "3\r\nabc\r\n",
  "3\nabc\n0\n\n",
);
const border = fc
  .tuple(startLine, fc.array(borderLine, { maxLength: 3 }), borderBody)
  .map(([first, rest, sent]) => Buffer.from([first, ...rest, "", sent].join(CRLF)));
/** With up to two bytes changed, inserted or removed. */
export const spoiltAnswer = fc
  .tuple(
    fc.oneof(
      border,
      rawAnswer.map(({ bytes }) => bytes),
    ),
    fc.array(damage, { maxLength: 3 }),
  )
  .map(([bytes, damages]) => damaged(bytes, damages))
  .filter(({ length }) => length > 0);
