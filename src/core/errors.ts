/**
 * The one table of errors. Each entry fixes what a code means at every edge: the HTTP status and OpenAI error
 * type on the wire, the exit code of a command, whether trying again can help, and what a person does next.
 * src/manual explains each code further; docs/errors.md is made of both, and test/docs.test.ts keeps it so.
 */
export interface ErrorKind {
  readonly httpStatus: number;
  readonly exitCode: number;
  readonly type: "invalid_request_error" | "authentication_error" | "rate_limit_error" | "api_error";
  readonly retryable: boolean;
  /** Seconds for `Retry-After` when the thrower has no measured figure; only where retrying can help. */
  readonly retryAfterSecs?: number;
  /** What a person does next, unless the thrower knows better. */
  readonly next: string;
}

// oxlint-disable-next-line max-params -- one row of the table below, read as columns
const kind = (
  httpStatus: number,
  exitCode: number,
  type: ErrorKind["type"],
  next: string,
  retryAfterSecs?: number,
): ErrorKind =>
  retryAfterSecs === undefined
    ? { httpStatus, exitCode, type, retryable: false, next }
    : { httpStatus, exitCode, type, retryable: true, retryAfterSecs, next };

/**
 * Exit codes. 1 is every failure that mending input or fleet cures; 2 only ever means "changes are pending"
 * (`plan --detailed-exitcode`); 69 is for supervisors and scripts that may simply try again.
 */
export const EXIT = {
  done: 0,
  failed: 1,
  changesPending: 2,
  usage: 64,
  unavailable: 69,
  internal: 70,
  interrupted: 130,
} as const;

const INVALID = "invalid_request_error";

// oxfmt-ignore
export const ERROR_TABLE = {
  // What a client of the API got wrong.
  malformed_json:            kind(400, EXIT.failed, INVALID, "send a JSON body"),
  missing_model_field:       kind(400, EXIT.failed, INVALID, "name a model; GET /v1/models lists them"),
  invalid_request_body:      kind(422, EXIT.failed, INVALID, "mend the field that `param` names"),
  unsupported_parameter:     kind(400, EXIT.failed, INVALID, "leave the parameter out"),
  context_length_exceeded:   kind(400, EXIT.failed, INVALID, "shorten the messages or lower max_tokens"),
  template_render_failed:    kind(422, EXIT.failed, INVALID, "this model's chat template cannot express the request"),
  vision_unsupported:        kind(400, EXIT.failed, INVALID, "send text only, or choose a model with the vision capability"),
  wrong_modality:            kind(422, EXIT.failed, INVALID, "choose a model that has the capability; GET /v1/models lists them"),
  previous_response_not_found: kind(400, EXIT.failed, INVALID, "send the whole conversation as `input`, as clients do with `store: false`"),
  model_not_found:           kind(404, EXIT.failed, INVALID, "GET /v1/models lists what this endpoint serves"),
  route_not_found:           kind(404, EXIT.usage, INVALID, "check the path; the API lives under /v1"),
  method_not_allowed:        kind(405, EXIT.usage, INVALID, "use the method that the Allow header names"),
  managed_by_fleet_files:    kind(501, EXIT.failed, INVALID, "change the fleet files, then cortex apply"),
  unsupported_media_type:    kind(415, EXIT.failed, INVALID, "send content-type: application/json"),
  body_too_large:            kind(413, EXIT.failed, INVALID, "send a smaller body, or raise `body_mb` in [gateway.limits]"),
  malformed_request:         kind(400, EXIT.failed, INVALID, "send HTTP/1.1 with a Host header, an escaped path and an intact body"),
  head_too_large:            kind(431, EXIT.failed, INVALID, "send fewer or shorter headers: 16 KiB at most"),
  request_timeout:           kind(408, EXIT.failed, INVALID, "send the request again, without pauses"),
  request_incomplete:        kind(400, EXIT.failed, INVALID, "send the request again, to its end"),
  host_not_allowed:          kind(421, EXIT.failed, INVALID, "use the address itself, or add the name to `hosts` in [gateway]"),
  origin_not_allowed:        kind(403, EXIT.failed, INVALID, "add the page's origin to `origins` in [gateway]"),
  unauthorized:              kind(401, EXIT.failed, "authentication_error", "send Authorization: Bearer <token>"),
  model_not_allowed:         kind(403, EXIT.failed, "authentication_error", "ask for a model that the key covers, or add the model to the key's `models` in the fleet files"),
  admin_required:            kind(403, EXIT.failed, "authentication_error", "use a key whose block has role = \"admin\""),
  insufficient_quota:        kind(429, EXIT.failed, "rate_limit_error", "raise the key's `hard_cap` in the fleet files; `cortex usage` shows what was spent"),
  rate_limit_exceeded:       kind(429, EXIT.unavailable, "rate_limit_error", "wait as long as Retry-After says, or raise the key's limits in the fleet files", 1),
  // What the fleet cannot do now.
  model_loading:             kind(503, EXIT.unavailable, "api_error", "try again; the model is on its way", 5),
  no_healthy_neuron:         kind(503, EXIT.unavailable, "api_error", "check `cortex status`", 5),
  no_feasible_neuron:        kind(404, EXIT.unavailable, INVALID, "no neuron can ever hold this model; see the reason and change its fleet block"),
  feasible_neuron_unhealthy: kind(503, EXIT.unavailable, "api_error", "a neuron that could hold the model does not answer; check `cortex status`", 3),
  insufficient_vram:         kind(503, EXIT.unavailable, "api_error", "unload a model or declare a smaller one; `cortex status` shows what holds the memory", 5),
  too_many_connections:      kind(503, EXIT.unavailable, "rate_limit_error", "close idle connections, or raise `connections` in [gateway.limits]", 2),
  queue_full:                kind(503, EXIT.unavailable, "rate_limit_error", "try again later or raise `parallel`", 2),
  draining:                  kind(503, EXIT.unavailable, "api_error", "try again; another copy or the restarted process will answer", 15),
  stale_generation:          kind(412, EXIT.unavailable, "api_error", "the neuron changed since it was observed; plan again"),
  stale_epoch:               kind(409, EXIT.failed, "api_error", "a newer apply has begun since; plan again"),
  model_busy:                kind(409, EXIT.unavailable, "api_error", "wait for the requests in flight, or force", 5),
  spec_conflict:             kind(409, EXIT.unavailable, "api_error", "the model is loaded with other settings; unload it first or run `cortex apply`"),
  job_not_found:             kind(404, EXIT.failed, INVALID, "GET /jobs lists the jobs that are kept"),
  request_not_found:         kind(404, EXIT.failed, INVALID, "a gateway remembers its own last 1000 requests, since it started: `cortex explain` lists them. One that is older, or that another gateway took, is in that gateway's log under its id"),
  job_cancelled:             kind(409, EXIT.unavailable, "api_error", "load the model again if it is still wanted"),
  // What broke.
  request_ended_worker:      kind(422, EXIT.failed, INVALID, "change the request; if it ought to work as it is, report its fingerprint with the neuron's log"),
  worker_crashed:            kind(502, EXIT.failed, "api_error", "send the request again; the model is loaded anew. The neuron's log has the worker's last lines", 1),
  upstream_connection_error: kind(502, EXIT.unavailable, "api_error", "check that the neuron runs: `cortex status`", 1),
  upstream_cut_stream:       kind(502, EXIT.failed, "api_error", "send the request again; what was received is incomplete", 1),
  load_timeout:              kind(504, EXIT.unavailable, "api_error", "try again; the load goes on", 5),
  device_lost:               kind(503, EXIT.unavailable, "api_error", "see the driver's log (dmesg, nvidia-smi); a reset or a restart of the machine brings the card back, and a restart of the neuron finds it", 5),
  engine_missing:            kind(503, EXIT.failed, "api_error", "install the engine where the neuron runs: `npm install node-llama-cpp`, or the package cortex-neuron"),
  engine_forbidden:          kind(403, EXIT.failed, INVALID, "start the neuron with --engine for the program, if it may be run"),
  engine_unreachable:        kind(503, EXIT.unavailable, "api_error", "check that the external engine runs, and that `endpoint` is its address as its neuron reaches it", 5),
  engine_exited:             kind(500, EXIT.failed, "api_error", "the neuron's log has the engine's own words; run its command by hand on that machine"),
  engine_timeout:            kind(504, EXIT.unavailable, "api_error", "the neuron's log has the engine's own words; `start_timeout_secs` gives it more time"),
  engine_unsuitable:         kind(422, EXIT.failed, INVALID, "mend the model's block, or how the engine is started"),
  engine_denied:             kind(502, EXIT.failed, "api_error", "put the engine's token into the `token_file` of the model's block, on the neuron"),
  engine_refused:            kind(400, EXIT.failed, INVALID, "change what the message names: the engine behind this model does not take it"),
  engine_error:              kind(502, EXIT.failed, "api_error", "send the request again; the neuron's log has the engine's own words", 1),
  load_failed:               kind(500, EXIT.failed, "api_error", "the neuron's log has the engine's own words"),
  source_not_found:          kind(404, EXIT.failed, INVALID, "put the file where the source points, or mend `source` in the model's block"),
  source_forbidden:          kind(403, EXIT.failed, INVALID, "move the file under a model root, or start the neuron with --model-root for its directory"),
  source_unsupported:        kind(400, EXIT.failed, INVALID, "use hf:, https: or file:, or the name of a file in the neuron's model store"),
  model_file_invalid:        kind(422, EXIT.failed, INVALID, "the file is not a GGUF this engine can load; fetch it again"),
  checksum_mismatch:         kind(422, EXIT.failed, "api_error", "the file differs from what is pinned; fetch it again or mend `sha256`"),
  source_denied:             kind(403, EXIT.failed, INVALID, "accept the model's terms on the hub, and start the neuron with HF_TOKEN set to a token that may read it"),
  download_failed:           kind(502, EXIT.unavailable, "api_error", "try again: what has come is kept, and the download goes on from there", 30),
  disk_full:                 kind(507, EXIT.failed, "api_error", "free space: `cortex store gc` removes downloaded models by age or by size"),
  internal_error:            kind(500, EXIT.internal, "api_error", "this is a defect of cortex; please report it with the log"),
  // What an operator or a script got wrong.
  usage_error:               kind(400, EXIT.usage, INVALID, "see --help"),
  fleet_not_found:           kind(400, EXIT.failed, INVALID, "name the fleet directory with --config; `cortex init fleet` makes one"),
  fleet_incomplete:          kind(400, EXIT.failed, INVALID, "bring the missing files back, or remove them by `git rm`"),
  fleet_invalid:             kind(400, EXIT.failed, INVALID, "mend the lines listed above"),
  fleet_revision_unknown:    kind(400, EXIT.failed, INVALID, "`git log` in the fleet repository lists the revisions"),
  fleet_unreachable:         kind(502, EXIT.unavailable, "api_error", "check the address of the fleet repository and your access to it", 5),
  refs_not_writable:         kind(403, EXIT.failed, INVALID, "give the account that applies the right to push refs/cortex/*; what runs without it is neither locked nor recorded in git"),
  lock_held:                 kind(409, EXIT.unavailable, "api_error", "wait until it is released, as with --lock-timeout 10m; `cortex lock ls` shows who holds it"),
  lock_unreachable:          kind(503, EXIT.unavailable, "api_error", "bring the neurons back, or go on without a lock where nobody else applies: --no-lock", 5),
  leases_not_kept:           kind(501, EXIT.failed, INVALID, "bring all neurons to this version of cortex; what runs without it is not locked"),
  lock_lost:                 kind(409, EXIT.failed, "api_error", "somebody else applies now; `cortex history` shows who, and `cortex apply` goes on from here"),
  history_not_kept:          kind(404, EXIT.failed, INVALID, "name the fleet repository with --config: a clone of it, or git+<url>"),
  commit_untrusted:          kind(403, EXIT.failed, INVALID, "sign the commit with a key that is among the signers, or revert it"),
  signers_unusable:          kind(400, EXIT.failed, INVALID, "export the public keys that are trusted: gpg --export --armor KEY > signers.asc"),
  lock_not_found:            kind(404, EXIT.failed, INVALID, "`cortex lock ls` shows the lock that is held"),
  plan_incomplete:           kind(409, EXIT.failed, "api_error", "make the fleet able to hold what is declared, then plan again"),
  plan_refused:              kind(409, EXIT.failed, "api_error", "make the plan again: cortex plan --out FILE; if it is refused again, report it with the file"),
  mass_unload:               kind(409, EXIT.failed, "api_error", "look at the plan again; --allow-mass-unload COPIES, the number that it takes away, allows it"),
  snapshot_invalid:          kind(400, EXIT.failed, INVALID, "take it again where the fleet can be reached: cortex snapshot --out FILE"),
  apply_failed:              kind(500, EXIT.failed, "api_error", "fix the cause shown for the failed step and run `cortex apply` again; finished steps stay"),
  probe_failed:              kind(422, EXIT.failed, "api_error", "mend the model, or `probe` in its block; the neuron's log has the engine's own words"),
  step_timeout:              kind(504, EXIT.failed, "api_error", "the neuron's log tells what it waits for; `cortex apply` goes on from here"),
  confirmation_required:     kind(400, EXIT.usage, INVALID, "run with --yes, or answer in a terminal"),
  settings_unreadable:       kind(400, EXIT.failed, INVALID, "mend the file, or run the same without --write and put the lines in by hand"),
  address_in_use:            kind(500, EXIT.unavailable, "api_error", "stop what listens there, or choose another port"),
  bind_needs_token:          kind(400, EXIT.failed, INVALID, "let the machine join the fleet: cortex neuron invite NAME where the gateway runs, and here what it prints; or make a token: (umask 077; openssl rand -hex 32 > neuron.token), then start with --token-file neuron.token"),
  invitation_refused:        kind(403, EXIT.failed, "authentication_error", "make another one where the gateway runs: cortex neuron invite NAME"),
  authority_unreachable:     kind(502, EXIT.unavailable, "api_error", "an invitation is answered by the `cortex neuron invite` that made it or by `cortex serve` beside it; its --at is the address as other machines reach it", 5),
  authority_unproven:        kind(403, EXIT.failed, "authentication_error", "do not go on: look at who answers there, then make another invitation with the right --at"),
  authority_not_found:       kind(404, EXIT.failed, INVALID, "nobody was invited from this data directory: cortex neuron invite NAME makes the first invitation"),
  certificate_refused:       kind(403, EXIT.failed, "authentication_error", "join again with a new invitation: cortex neuron invite NAME"),
  identity_unusable:         kind(500, EXIT.failed, "api_error", "mend the file, or remove it and join again: cortex neuron join"),
  token_file_unsafe:         kind(400, EXIT.failed, INVALID, "chmod 600 the token file"),
  ledger_unusable:           kind(500, EXIT.failed, "api_error", "give the user that runs the gateway a directory it can write to, with CORTEX_DATA_DIR"),
  ledger_unavailable:        kind(503, EXIT.unavailable, "api_error", "try again in a moment; whoever runs the gateway looks after the Redis of `[ledger] url`", 2),
  bind_needs_keys:           kind(400, EXIT.failed, INVALID, "make a key: cortex key create NAME; or say that everybody may use it: `allow_anonymous = true` in [gateway], or --insecure for this start"),
  interrupted:               kind(503, EXIT.interrupted, "api_error", "run the command again; what is done stays done"),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === "string" && Object.hasOwn(ERROR_TABLE, value);

export const errorKind = (code: ErrorCode): ErrorKind => ERROR_TABLE[code];

/** Where the documentation has more about it; `cortex explain CODE` prints the same without a network. */
export const errorDoc = (code: ErrorCode): string => `docs/errors.md#${code}`;

export interface CortexErrorOptions {
  /** Machine-readable facts shown beside the message; never a secret, never a prompt. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Replaces the table's next step when the thrower knows a better one. */
  readonly next?: string;
  /** Replaces the table's `Retry-After` with a measured figure; null: trying again never helps in this case. */
  readonly retryAfterSecs?: number | null;
  /** The request field at fault, for clients. */
  readonly param?: string;
  readonly cause?: unknown;
}

/** Every failure that is expected to reach a person or a client. Anything else that is thrown is a defect. */
export class CortexError extends Error {
  override readonly name = "CortexError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly next: string;
  readonly param: string | undefined;
  readonly retryAfterSecs: number | undefined;
  /** Trying again does not help here, whatever the table says of the code. */
  readonly isFinal: boolean;

  constructor(code: ErrorCode, message: string, options: CortexErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.next = options.next ?? errorKind(code).next;
    this.param = options.param;
    this.isFinal = options.retryAfterSecs === null;
    this.retryAfterSecs = this.isFinal
      ? undefined
      : (options.retryAfterSecs ?? errorKind(code).retryAfterSecs);
  }
}

/** Wraps what is no CortexError as a defect; leaves the others as they are. */
export function toCortexError(thrown: unknown): CortexError {
  if (thrown instanceof CortexError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CortexError("internal_error", message, { cause: thrown });
}

/** "ENOENT", "EADDRINUSE": what the system or Node calls a failure; undefined for one without a code. */
export const systemErrorCode = (thrown: unknown): string | undefined =>
  thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
