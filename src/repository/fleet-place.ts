import { CortexError } from "../core/errors.ts";
import { maskSecrets } from "../fleet/text/mask-secrets.ts";

/** What `--config` names. */
export type FleetPlace =
  | { readonly kind: "local"; readonly path: string }
  | {
      readonly kind: "git";
      /** Without credentials. */
      readonly url: string;
      /** `user:password` of an https URL; for the connection only, never shown. */
      readonly credentials: string | undefined;
      /** Branch, tag or commit; undefined: the repository's own default branch. */
      readonly ref: string | undefined;
      /** Directory or file inside the repository; empty: its top. */
      readonly path: string;
      /** The place as people are shown it. */
      readonly shown: string;
    };

const PREFIX = "git+";
const GIT_URL =
  /^(?:(?:https?|ssh|git|file):\/\/[^\s-]\S*|[A-Za-z0-9._]+@[A-Za-z0-9.]+[A-Za-z0-9.-]*:\S+|\/\S*)$/;

/** Reads a directory, a file or `git+<url>#<ref>:<path>`. Throws `usage_error` for a git URL that is none. */
export function parseFleetPlace(text: string): FleetPlace {
  if (!text.startsWith(PREFIX)) return { kind: "local", path: text };
  const [location, fragment] = splitOnce(text.slice(PREFIX.length), "#");
  const [ref, path] = splitOnce(fragment, ":");
  if (!GIT_URL.test(location)) throw notAPlace(text, "no URL that git reads");
  if (path.split("/").includes("..")) throw notAPlace(text, "a path that leaves the repository");
  const { url, credentials } = withoutCredentials(location);
  const shownFragment = fragment === "" ? "" : `#${fragment}`;
  return {
    kind: "git",
    url,
    credentials,
    ref: ref === "" ? undefined : ref,
    path: path.replaceAll(/^\/+|\/+$/g, ""),
    shown: `${PREFIX}${url}${shownFragment}`,
  };
}

function withoutCredentials(location: string): {
  readonly url: string;
  readonly credentials: string | undefined;
} {
  if (!/^https?:/.test(location) || !URL.canParse(location)) return { url: location, credentials: undefined };
  const url = new URL(location);
  if (url.username === "" && url.password === "") return { url: location, credentials: undefined };
  const credentials = `${decoded(url.username)}:${decoded(url.password)}`;
  url.username = "";
  url.password = "";
  return { url: url.href, credentials };
}

/** A `%` that begins no escape means itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function notAPlace(text: string, problem: string): CortexError {
  return new CortexError("usage_error", `${maskSecrets(text)} has ${problem}`, {
    next: "write git+https://host/fleet.git#main:directory, git+ssh://git@host/fleet.git or a local path",
  });
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
