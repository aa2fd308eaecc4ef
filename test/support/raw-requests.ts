import fc from "fast-check";

/** A request as bytes, in the pieces in which it is sent. Most are wrong in some way; some are right. */
export interface RawRequest {
  readonly pieces: readonly Buffer[];
  /** It has an end: there must be an answer. Others may wait for more. */
  readonly isWhole: boolean;
}

const CRLF = "\r\n";
const JSON_BODY = JSON.stringify({ model: "org/a", messages: [] });

const method = fc.constantFrom("POST", "POST", "POST", "GET", "PUT", "OPTIONS", "HEAD", "BREW", "");
const path = fc.oneof(
  fc.constantFrom(
    "/v1/chat/completions",
    "//v1/embeddings/",
    "/models",
    "/v1/models/%zz",
    "/health",
    "*",
    "/../../etc/passwd",
    "http://evil.example/v1/models",
  ),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => `/${text.replaceAll(/\s/g, "")}`),
);
const version = fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "");
const header = fc.oneof(
  fc.constantFrom(
    "host: localhost",
    "host: localhost",
    "host: evil.example",
    "content-type: application/json",
    "content-type: application/json",
    "content-type: text/plain",
    "content-encoding: gzip",
    "content-encoding: zstd",
    "expect: 100-continue",
    "expect: a miracle",
    "connection: close",
    "connection: upgrade\r\nupgrade: websocket",
    "origin: https://evil.example",
    "transfer-encoding: chunked",
    "transfer-encoding: identity",
    "transfer-encoding: chunked, chunked",
    "content-length: 1\r\ncontent-length: 2",
    "content-length: -1",
    "content-length: 99999999999",
    " folded: line",
    "no colon",
    `x-long: ${"y".repeat(20_000)}`,
  ),
  fc.string({ unit: "binary", maxLength: 30 }).map((text) => `x: ${text}`),
);
const body = fc.oneof(
  fc.constantFrom(
    JSON_BODY,
    JSON_BODY,
    `\uFEFF${JSON_BODY}`,
    "",
    "{",
    "[".repeat(5000),
    '{"model":7}',
    '{"model":"org/a","stream":true}',
    "x".repeat(300_000),
  ),
  fc.json({ maxDepth: 3 }),
);

const framed = fc
  .record({ body, framing: fc.constantFrom("length", "length", "length", "chunks", "none", "short", "long") })
  .map(({ body: text, framing }) => {
    const length = Buffer.byteLength(text);
    switch (framing) {
      case "chunks":
        return {
          headers: ["transfer-encoding: chunked"],
          bytes: `${length.toString(16)}${CRLF}${text}${CRLF}0${CRLF}${CRLF}`,
          ends: length > 0,
        };
      case "none":
        return { headers: [], bytes: text, ends: true };
      case "short":
        return { headers: [`content-length: ${length + 10}`], bytes: text, ends: false };
      case "long":
        return { headers: [`content-length: ${Math.max(0, length - 1)}`], bytes: text, ends: true };
      case "length":
      default:
        return { headers: [`content-length: ${length}`], bytes: text, ends: true };
    }
  });

/** One whole request, or two on one connection, cut into pieces at any places, with bytes spoilt now and then. */
export const rawRequest: fc.Arbitrary<RawRequest> = fc
  .record({
    method,
    path,
    version,
    headers: fc.array(header, { maxLength: 4 }),
    framed,
    twice: fc.boolean(),
    cuts: fc.array(fc.nat(), { maxLength: 3 }),
    spoil: fc.option(fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) }), { freq: 4 }),
  })
  .map(({ method: verb, path: url, version: protocol, headers, framed: sent, twice, cuts, spoil }) => {
    const lines = [
      `${verb} ${url} ${protocol}`,
      "host: localhost",
      "content-type: application/json",
      ...headers,
      ...sent.headers,
    ];
    const one = Buffer.from(lines.join(CRLF) + CRLF + CRLF + sent.bytes);
    const bytes = twice ? Buffer.concat([one, one]) : one;
    if (spoil !== null && bytes.length > 0) bytes[spoil.at % bytes.length] = spoil.byte;
    const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((left, right) => left - right);
    const pieces = [...places, bytes.length].map((end, index) =>
      bytes.subarray(index === 0 ? 0 : places[index - 1], end),
    );
    return { pieces, isWhole: sent.ends && spoil === null && headers.length === 0 };
  });
