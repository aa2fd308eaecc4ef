/**
 * The base URL of an engine as fleet files have it: without the API's own /v1, and without a password, which never
 * comes along. Undefined for what is no address.
 */
export function engineAddress(
  text: string,
): { readonly endpoint: string; readonly hadPassword: boolean } | undefined {
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  const hadPassword = url.username !== "" || url.password !== "";
  const path = url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
  return { endpoint: `${url.protocol}//${url.host}${path}`, hadPassword };
}
