/** Routes that clients also ask for without the prefix, when their base URL lacks it. */
const UNPREFIXED =
  /^\/(?:models|chat\/completions|completions|embeddings|rerank|responses|messages|audio|images)(?:\/|$)/;

/** Without the query, in one spelling. */
export function pathOf(url: string): string {
  const path = canonicalPath(url);
  const query = path.indexOf("?");
  return query === -1 ? path : path.slice(0, query);
}

/**
 * One spelling for each path. Base URLs are typed by people: with a slash at the end, with `/v1` twice or not at all,
 * and clients glue their own part to them as it is. The query stays as it came.
 */
export function canonicalPath(url: string): string {
  const query = url.indexOf("?");
  const path = query === -1 ? url : url.slice(0, query);
  const joined = path.replaceAll(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");
  const once = joined.replace(/^(?:\/v1)+(?=\/v1(?:\/|$))/, "");
  const prefixed = UNPREFIXED.test(once) ? `/v1${once}` : once;
  return query === -1 ? prefixed : prefixed + url.slice(query);
}
