/** What ends a line of a head, or no head may contain. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** Without blanks and control characters. */
const TARGET = /^\/[\x21-\x7e]*$/;

/** Names that were found good, and in small letters: the same few are sent each time. */
const goodNames = new Map<string, string>();
const MOST_NAMES = 200;

type Headers = Readonly<Record<string, string>>;

/** Whoever sends a request does not say how long it is, nor what becomes of the connection. In small letters. */
const OWN_HEADERS = ["host", "connection", "content-length", "transfer-encoding"];

/** Lines that each request has, and the names of all headers that nobody else may set. */
export interface ConstantLines {
  readonly lines: string;
  readonly names: ReadonlySet<string>;
}

/** What each request to that host has. Throws `TypeError` for headers that would end a line early. */
export function constantLines(host: string, headers: Headers): ConstantLines {
  const own = new Set(OWN_HEADERS);
  const lines = `host: ${host}\r\nconnection: keep-alive\r\n${headerLines(headers, own)}`;
  return { lines, names: new Set([...own, ...Object.keys(headers).map((name) => name.toLowerCase())]) };
}

/** Without those of `names`. */
function headerLines(headers: Headers, names: ReadonlySet<string>): string {
  let lines = "";
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (names.has(smallName(name))) continue;
    // Without the value: it may be a secret.
    if (FORBIDDEN.test(value)) throw new TypeError(`the header ${name} has characters that no header has`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/**
 * The head of a POST with a body of that many bytes, with its empty line. What is constant goes before what the request
 * says. Throws `TypeError` for a path or header that would end a line early.
 */
export function requestHead(
  {
    path,
    headers,
    constant,
  }: { readonly path: string; readonly headers: Headers; readonly constant: ConstantLines },
  bodyBytes: number,
): string {
  if (!TARGET.test(path)) throw new TypeError("a path with characters that no path has");
  const { lines, names } = constant;
  return `POST ${path} HTTP/1.1\r\n${lines}${headerLines(headers, names)}content-length: ${bodyBytes}\r\n\r\n`;
}

function smallName(name: string): string {
  const known = goodNames.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) throw new TypeError("a header whose name is none");
  const small = name.toLowerCase();
  if (goodNames.size < MOST_NAMES) goodNames.set(name, small);
  return small;
}
