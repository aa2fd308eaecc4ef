/** What ends a line of a head, or no head may contain. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** Without blanks and control characters. */
const TARGET = /^\/[\x21-\x7e]*$/;

/** Names that were found good: the same few are sent each time. */
const goodNames = new Set<string>();
const MOST_NAMES = 200;

type Headers = Readonly<Record<string, string>>;

/** Lines of a head. Throws `TypeError` for what would end a line early. */
export function headerLines(headers: Headers): string {
  let lines = "";
  for (const name in headers) {
    const value = headers[name] ?? "";
    requireName(name);
    // Without the value: it may be a secret.
    if (FORBIDDEN.test(value)) throw new TypeError(`the header ${name} has characters that no header has`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/**
 * The head of a POST with a body of that many bytes, with its empty line. `constant`: lines that each request has. Throws
 * `TypeError` for a path or header that would end a line early.
 */
export function requestHead(
  {
    path,
    headers,
    constant,
  }: { readonly path: string; readonly headers: Headers; readonly constant: string },
  bodyBytes: number,
): string {
  if (!TARGET.test(path)) throw new TypeError("a path with characters that no path has");
  return `POST ${path} HTTP/1.1\r\n${constant}${headerLines(headers)}content-length: ${bodyBytes}\r\n\r\n`;
}

function requireName(name: string): void {
  if (goodNames.has(name)) return;
  if (!TOKEN.test(name)) throw new TypeError("a header whose name is none");
  if (goodNames.size < MOST_NAMES) goodNames.add(name);
}
