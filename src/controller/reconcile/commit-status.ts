import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import type { Delivery } from "./delivery.ts";
import type { RoundOutcome } from "./round-outcome.ts";

export type StatusHost = "github" | "gitea" | "gitlab";

/** Where statuses of commits go. Kept as the process was started: a commit must not say where a token is sent. */
export interface StatusTarget {
  readonly host: StatusHost;
  /** Base URL of the host's API, without a slash at its end. */
  readonly api: string;
  /** `owner/name`, or groups and a name at GitLab. */
  readonly repository: string;
  readonly token: string;
}

const API_PATHS: Readonly<Record<StatusHost, string>> = {
  github: "/api/v3",
  gitea: "/api/v1",
  gitlab: "/api/v4",
};

/** Of the repository that is followed; `api` where it cannot be told from its URL. Throws `usage_error`. */
export function statusTarget(
  url: string,
  {
    host,
    api,
    token,
  }: { readonly host: StatusHost; readonly api: string | undefined; readonly token: string },
): StatusTarget {
  const found = hostedRepository(url);
  if (found === undefined)
    throw new CortexError("usage_error", "the fleet repository is at no git host that could show a status", {
      next: "leave --commit-status out, or follow the repository by its https or ssh URL",
    });
  const usual =
    found.origin === "https://github.com" ? "https://api.github.com" : `${found.origin}${API_PATHS[host]}`;
  return { host, token, api: (api ?? usual).replace(/\/+$/, ""), repository: found.repository };
}

/** "git@host:owner/name.git", "ssh://git@host:2222/owner/name", "https://host/owner/name.git". */
function hostedRepository(url: string): { readonly origin: string; readonly repository: string } | undefined {
  const scp = /^[\w.-]+@([\w.-]+):(?!\/)(.+)$/.exec(url);
  if (scp !== null) return { origin: `https://${scp[1] ?? ""}`, repository: trimmed(scp[2] ?? "") };
  if (!URL.canParse(url)) return undefined;
  const { protocol, host, hostname, pathname } = new URL(url);
  const repository = trimmed(pathname);
  if (!repository.includes("/")) return undefined;
  if (protocol === "http:" || protocol === "https:") return { origin: `${protocol}//${host}`, repository };
  return protocol === "ssh:" ? { origin: `https://${hostname}`, repository } : undefined;
}

const trimmed = (path: string): string =>
  path
    .replace(/^\/+/, "")
    .replace(/\/+$/, "")
    .replace(/\.git$/, "");

/** GitHub shows no more of a description. */
const MOST_CHARACTERS = 140;

/** Undefined where there is nothing to say of a commit yet. */
export function commitStatus(
  outcome: RoundOutcome,
  target: StatusTarget,
  { fleet }: { readonly fleet: string },
): Delivery | undefined {
  const { commit } = outcome;
  const state = stateOf(outcome);
  if (commit === null || state === undefined) return undefined;
  const { api, repository, host } = target;
  const context = `cortex/${fleet}`;
  const description = cut(outcome.message);
  const json = { "content-type": "application/json", "user-agent": "cortex" };
  if (host === "gitlab")
    return {
      url: `${api}/projects/${encodeURIComponent(repository)}/statuses/${commit}`,
      headers: { ...json, "private-token": target.token },
      body: JSON.stringify({ state: GITLAB_STATES[state], name: context, description }),
    };
  const path = repository.split("/").map(encodeURIComponent).join("/");
  return {
    url: `${api}/repos/${path}/statuses/${commit}`,
    headers: { ...json, ...authorization(target) },
    body: JSON.stringify({ state, context, description }),
  };
}

const authorization = ({ host, token }: StatusTarget): Record<string, string> =>
  host === "github"
    ? { authorization: `Bearer ${token}`, accept: "application/vnd.github+json" }
    : { authorization: `token ${token}` };

type StatusState = "success" | "failure" | "pending";

const GITLAB_STATES = { success: "success", failure: "failed", pending: "pending" } as const;

function stateOf(outcome: RoundOutcome): StatusState | undefined {
  switch (outcome.kind) {
    case "in-sync":
    case "applied":
      return "success";
    case "held-back":
      return outcome.in_sync ? "success" : "pending";
    case "failed":
      return "pending";
    case "drifted":
    case "refused":
      return "failure";
    case "drift-suspected":
      return undefined;
    default:
      return assertNever(outcome);
  }
}

const cut = (text: string): string =>
  text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 3)}...`;
