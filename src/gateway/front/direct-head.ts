/** The head of a request that is answered without Node's HTTP server. */
export interface DirectHead {
  /** As it came, query and all. */
  readonly url: string;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  /** The client wants the connection ended after the answer. */
  readonly closes: boolean;
}

/** Longer ones are Node's, which says why they are refused. */
export const MOST_HEAD_BYTES = 8 * 1024;

/** Control characters, and line ends that are only half of one. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?:^|[^\r])\n/;
const REQUEST_LINE = /^POST (\/[\x21-\x7e]*) HTTP\/1\.1$/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const LENGTH = /^[1-9]\d{0,14}$/;

/** They ask for what is only done there, or mean more to Node than a text. */
const LEFT_TO_NODE = [
  "transfer-encoding",
  "content-encoding",
  "expect",
  "upgrade",
  "trailer",
  "te",
  "http2-settings",
  "proxy-connection",
  "set-cookie",
];

/** Names as they come, and in small letters once they were found good: clients send the same few each time. */
const knownNames = new Map<string, string>();
const MOST_NAMES = 500;

/**
 * The head of a plain POST with a body of known length, without the empty line behind it. Null for everything else: other
 * methods and versions, bodies in chunks or encoded, expectations, a header that comes twice, and whatever is not
 * exactly as it should be. That is for Node's HTTP server to understand or to refuse, and so it may be anything; what is
 * read here has one meaning only.
 */
export function readDirectHead(text: string): DirectHead | null {
  if (FORBIDDEN.test(text)) return null;
  const firstEnd = text.indexOf("\r\n");
  const url = firstEnd < 0 ? undefined : REQUEST_LINE.exec(text.slice(0, firstEnd))?.[1];
  if (url === undefined) return null;
  const headers = readLines(text, firstEnd + 2);
  return headers === null ? null : plainRequest(url, headers);
}

function plainRequest(url: string, headers: Readonly<Record<string, string>>): DirectHead | null {
  const { host, connection = "keep-alive", "content-length": length = "" } = headers;
  if (host === undefined || !LENGTH.test(length)) return null;
  if (LEFT_TO_NODE.some((name) => headers[name] !== undefined)) return null;
  const wish = connection.toLowerCase();
  if (wish !== "keep-alive" && wish !== "close") return null;
  return { url, headers, bodyBytes: Number(length), closes: wish === "close" };
}

function readLines(text: string, start: number): Record<string, string> | null {
  const headers: Record<string, string> = {};
  let at = start;
  while (at < text.length) {
    const next = text.indexOf("\r\n", at);
    const end = next < 0 ? text.length : next;
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon >= end) return null;
    const name = smallName(text.slice(at, colon));
    if (name === null || Object.hasOwn(headers, name)) return null;
    headers[name] = trimmed(text, colon + 1, end);
    at = end + 2;
  }
  return headers;
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

/** Without blanks and tabs around it; other letters that are blank to JavaScript are letters here. */
function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from += 1;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

function smallName(name: string): string | null {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  // A part of a text keeps all of it, which is somebody's request, secrets and all.
  const own = Buffer.from(name, "latin1").toString("latin1");
  const small = own.toLowerCase();
  // The last is a setter of every object.
  if (!TOKEN.test(name) || small === "__proto__") return null;
  if (knownNames.size < MOST_NAMES) knownNames.set(own, small);
  return small;
}
