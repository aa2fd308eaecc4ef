/** A file of the page, held as it is sent. */
export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
  readonly gzipped: Buffer;
  /** Of its bytes: another build has another. */
  readonly etag: string;
}

/** By the path that it is asked for at. */
export type PageFiles = ReadonlyMap<string, PageFile>;

export interface PageAnswer {
  readonly status: 200 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

/**
 * Scripts, styles and pictures of this gateway and of nobody else, no inline code, no text that becomes code, and no
 * frame around it: a key is typed into this page.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HELD_TO: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};

type Asked = Readonly<Record<string, string | string[] | undefined>>;

/** Kept by the browser and asked about each time, so that a new gateway shows its own page. */
export function pageAnswer(file: PageFile, asked: Asked): PageAnswer {
  const headers = { ...HELD_TO, etag: file.etag, "cache-control": "no-cache", vary: "accept-encoding" };
  if (tagsOf(asked["if-none-match"]).includes(file.etag)) return { status: 304, headers, body: null };
  const isZipped = takesGzip(asked["accept-encoding"]);
  return {
    status: 200,
    headers: { ...headers, "content-type": file.type, ...(isZipped ? { "content-encoding": "gzip" } : {}) },
    body: isZipped ? file.gzipped : file.body,
  };
}

const textOf = (header: string | string[] | undefined): string =>
  typeof header === "string" ? header : (header ?? []).join(", ");

/** A proxy that compresses by itself marks the tag as weak: the bytes are the same for all that. */
const tagsOf = (header: string | string[] | undefined): readonly string[] =>
  textOf(header)
    .split(",")
    .map((tag) => tag.trim().replace(/^W\//, ""));

const takesGzip = (header: string | string[] | undefined): boolean =>
  textOf(header)
    .split(",")
    .some((coding) => /^\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(coding));
