/** A TCP address to bind or to connect to. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** Where a neuron listens unless it is told otherwise. */
export const NEURON_DEFAULT_PORT = 13_131;

/** "127.0.0.1:31313" or "[::1]:31313"; the fleet schema has checked the form. */
export function parseHostAndPort(text: string): HostAndPort {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(text.slice(colon + 1)) };
}

/** Whether only this machine can reach the address. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);

/** The base URL under which a client on this machine reaches what listens there: any-address means loopback. */
export function localUrl({ host, port, isTls = false }: HostAndPort & { readonly isTls?: boolean }): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `${isTls ? "https" : "http"}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}
