import type { Clock } from "../../../core/clock.ts";
import { parseHostAndPort } from "../../../core/addresses.ts";
import { CortexError } from "../../../core/errors.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import { readTokenFile } from "../../../platform/token-file.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import { branchPlace, openBranch, type SignatureRule } from "../../../repository/io/fleet-branch.ts";
import { fleetGit } from "../../../repository/io/fleet-git.ts";
import type { LoadedFleet } from "../../../repository/io/load-fleet.ts";
import { readHistory } from "../../history/io/read-history.ts";
import { statusTarget, type StatusHost, type StatusTarget } from "../commit-status.ts";
import type { RoundOptions } from "./reconcile-round.ts";
import {
  startReconcileService,
  type Listeners,
  type ReconcileService,
  type ReconcileServiceDeps,
} from "./reconcile-service.ts";

/** As a command line says it, files by their names. */
export interface ReconcileFlags {
  readonly config: string;
  readonly mode?: "apply" | "detect" | undefined;
  readonly listen?: string | undefined;
  readonly verify?: "none" | "ssh" | "gpg" | undefined;
  readonly signers?: string | undefined;
  readonly "webhook-secret-file"?: string | undefined;
  readonly "commit-status"?: StatusHost | undefined;
  readonly "commit-status-token-file"?: string | undefined;
  readonly "commit-status-url"?: string | undefined;
  readonly "notify-webhook-file"?: string | undefined;
  readonly "notify-secret-file"?: string | undefined;
  readonly "notify-slack-file"?: string | undefined;
  readonly gateway?: string | undefined;
  readonly "api-key-file"?: string | undefined;
  readonly "metrics-url"?: string | undefined;
}

export interface ReconcileSituation {
  /** As it is when the loop is started. */
  readonly fleet: Fleet;
  readonly environment: RoundOptions["environment"] & { readonly operator: Operator };
  readonly clock: Clock;
  /** Asked for anew each round: certificates and revocations change. */
  readonly neuronAccess: RoundOptions["neuronAccess"];
  readonly onApply?: RoundOptions["onApply"];
  readonly onTrue?: RoundOptions["onTrue"];
}

/** The loop as a command line wants it. Throws `usage_error` for what does not go together, `token_file_unsafe`. */
export async function openReconcileService(
  flags: ReconcileFlags,
  { fleet, environment, clock, neuronAccess, onApply, onTrue }: ReconcileSituation,
  deps: Omit<ReconcileServiceDeps, "clock" | "chance">,
): Promise<ReconcileService> {
  const { repo, branch, interval_secs, verify } = fleet.gitops;
  const place = await branchPlace({ path: flags.config, repo, branch }, environment);
  const options = {
    place,
    environment,
    operator: environment.operator,
    clock,
    signatures: signaturesOf(flags.verify ?? verify, flags.signers),
    mode: flags.mode,
    neuronAccess,
    gatewayUrl: flags.gateway,
    metricsUrl: flags["metrics-url"],
    apiKey: () => readSecret(flags["api-key-file"]),
    onApply,
    onTrue,
    intervalMs: interval_secs * 1000,
    branch,
    fleet: fleet.fleet.name,
    listen: flags.listen === undefined ? undefined : parseHostAndPort(flags.listen),
    hookSecret: await readSecret(flags["webhook-secret-file"]),
    listeners: await listenersOf(flags, place),
  };
  return startReconcileService(options, { ...deps, clock, chance: Math.random });
}

/**
 * The files that a gateway beside the loop begins with. Where signatures count, a head that nobody vouches for must not say
 * who may ask: then it is what was applied last. Throws `commit_untrusted` when there is neither.
 */
export async function filesToServe(
  flags: ReconcileFlags,
  {
    loaded,
    environment,
  }: { readonly loaded: LoadedFleet; readonly environment: RoundOptions["environment"] },
): Promise<LoadedFleet> {
  const { repo, branch, verify } = loaded.fleet.gitops;
  const rule = signaturesOf(flags.verify ?? verify, flags.signers);
  if (rule === undefined) return loaded;
  const path = await branchPlace({ path: flags.config, repo, branch }, environment);
  const where = { path, environmentOverrides: environment.cortexVariables, inherited: environment.inherited };
  const head = await openBranch(where);
  const verdict = await head.verify(rule);
  if (verdict.kind === "good") return head.load();
  const location = { path, repo, fleet: loaded.fleet.fleet.name, most: MOST_ENTRIES };
  const items = await readHistory(location, environment);
  const [applied] = items.flatMap(({ entry }) => entry?.record.revision.commit ?? []);
  if (applied !== undefined) return fleetGit(environment).load({ path, ref: applied });
  throw new CortexError("commit_untrusted", `${head.commit.slice(0, 8)} is not served: ${verdict.reason}`);
}

/** Enough to find the last apply behind locks that were released by hand. */
const MOST_ENTRIES = 50;

async function listenersOf(flags: ReconcileFlags, place: string): Promise<Listeners> {
  const [webhookUrl, secret, slackUrl] = [
    await readUrl("notify-webhook-file", flags),
    await readSecret(flags["notify-secret-file"]),
    await readUrl("notify-slack-file", flags),
  ];
  return {
    status: await statusOf(flags, place),
    webhook: webhookUrl === undefined ? undefined : { url: webhookUrl, secret },
    slackUrl,
  };
}

async function statusOf(flags: ReconcileFlags, place: string): Promise<StatusTarget | undefined> {
  const host = flags["commit-status"];
  const token = await readSecret(flags["commit-status-token-file"]);
  if (host === undefined || token === undefined) return undefined;
  const url = place.replace(/^git\+/, "").split("#")[0] ?? "";
  return statusTarget(url, { host, api: flags["commit-status-url"], token });
}

const readSecret = async (path: string | undefined): Promise<string | undefined> =>
  path === undefined ? undefined : readTokenFile(path);

/** The URL of a hook is its password, so it is neither shown nor on a command line. */
async function readUrl(
  flag: "notify-webhook-file" | "notify-slack-file",
  flags: ReconcileFlags,
): Promise<string | undefined> {
  const text = await readSecret(flags[flag]);
  if (text === undefined || /^https?:\/\/\S+$/.test(text)) return text;
  throw new CortexError("usage_error", `the file of --${flag} has no http or https URL in it`, {
    next: "write the URL of the hook into it, and nothing else",
  });
}

function signaturesOf(
  format: "none" | "ssh" | "gpg",
  signersFile: string | undefined,
): SignatureRule | undefined {
  if (format === "none" && signersFile === undefined) return undefined;
  if (format === "none")
    throw new CortexError("usage_error", "--signers without signatures that are asked for", {
      next: "say which: --verify ssh or --verify gpg, or `verify` of [gitops]",
    });
  if (signersFile === undefined)
    throw new CortexError("usage_error", `verify = "${format}" needs the keys that are trusted`, {
      next: "name their file with --signers: a file of this machine, which a commit cannot change",
    });
  return { format, signersFile };
}
