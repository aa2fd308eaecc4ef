import { CortexError } from "../../core/errors.ts";
import type { Span } from "./body-scan.ts";

const FORM_TYPE = /^multipart\/form-data\s*(?:;|$)/i;
const BOUNDARY = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;
/** More fields than any route has. */
const MOST_PARTS = 256;
const MOST_HEAD_BYTES = 8 * 1024;
const HEAD_END = Buffer.from("\r\n\r\n");

export const isForm = (contentType: string | undefined): contentType is string =>
  contentType !== undefined && FORM_TYPE.test(contentType);

const broken = (why: string): CortexError =>
  new CortexError("invalid_request_body", `the form is not multipart/form-data: ${why}`, {
    next: "let an HTTP client write the form, with its boundary in the content type",
  });

/**
 * Where a form names its model, in the order of the form. Everything else in it is the engine's: files are passed over.
 * Throws `invalid_request_body`.
 */
export function modelSpansOfForm(body: Buffer, contentType: string): readonly Span[] {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`);
  const spans: Span[] = [];
  let at = firstPart(body, delimiter);
  for (let part = 0; part < MOST_PARTS; part += 1) {
    if (body.toString("latin1", at, at + 2) === "--") return spans;
    const headEnd = body.subarray(at, at + MOST_HEAD_BYTES).indexOf(HEAD_END);
    if (headEnd === -1) throw broken("a part has no end of its head");
    const start = at + headEnd + HEAD_END.length;
    // The delimiter's line break may be the one that ends an empty head.
    const end = body.indexOf(delimiter, start - 2);
    if (end === -1) throw broken("its last part has no end");
    if (isModelField(body.toString("latin1", at, at + headEnd)))
      spans.push({ start, end: Math.max(start, end) });
    at = end + delimiter.length;
  }
  throw broken(`it has more than ${MOST_PARTS} parts`);
}

function boundaryOf(contentType: string): string {
  const named = BOUNDARY.exec(contentType);
  const boundary = named?.[1] ?? named?.[2];
  if (boundary === undefined) throw broken("its content type names no boundary");
  return boundary;
}

/** Behind the first delimiter, which may stand at the very beginning, without a line break before it. */
function firstPart(body: Buffer, delimiter: Buffer): number {
  const bare = delimiter.subarray(2);
  if (body.subarray(0, bare.length).equals(bare)) return bare.length;
  const at = body.indexOf(delimiter);
  if (at === -1) throw broken("its boundary does not occur");
  return at + delimiter.length;
}

/** A field, not a file of that name. */
function isModelField(head: string): boolean {
  const disposition = /^\s*content-disposition\s*:\s*form-data\s*(;.*)$/im.exec(head)?.[1] ?? "";
  return /;\s*name="?model"?\s*(?:;|$)/i.test(disposition) && !/;\s*filename\*?=/i.test(disposition);
}

/** The model that a form names last, as in JSON the last field of a name counts; undefined where it names none. */
export function modelOfForm(body: Buffer, contentType: string): string | undefined {
  const span = modelSpansOfForm(body, contentType).at(-1);
  return span === undefined ? undefined : body.toString("utf8", span.start, span.end);
}
