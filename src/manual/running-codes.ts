import type { ErrorCode } from "../core/errors.ts";
import { explained, type Explained } from "./explained.ts";

/** What the fleet cannot do now, and what broke. */
// oxfmt-ignore
export const RUNNING_CODES = {
  model_loading: explained(
    "The model is on its way into memory, or was taken away a moment before the request reached it. Streaming clients are kept alive while they wait; this code goes to those that could not wait any longer, with the time that the load is expected to take in `Retry-After`.",
    "`cortex models --watch` shows how far the load is. `replicas = 1` in the model's block keeps it loaded for good.",
  ),
  no_healthy_neuron: explained(
    "No neuron that could serve the model answers: the machines are down, the network between is, or they refuse the gateway's token.",
    "`cortex neurons` shows which are silent and since when, `cortex doctor` tries each from here and says what is in the way.",
    "On the machine: `systemctl status neuron`, or start one with `cortex neuron`.",
  ),
  no_feasible_neuron: explained(
    "However empty they were, none of the neurons could hold this model: too little memory on any device, fewer devices than `min_devices`, pins that leave none, or every load that was tried there failed for good. Trying again does not help.",
    "`cortex why MODEL` lists each neuron with what it lacks, and the least change of the files that would help.",
  ),
  feasible_neuron_unhealthy: explained(
    "The neurons that could hold the model do not answer or take no work now; the others cannot hold it.",
    "`cortex neurons` shows their state; a neuron that is draining takes work again with `cortex top`, key `d`, or once its `drain` is taken out of the files and applied.",
  ),
  insufficient_vram: explained(
    "The model does not fit beside what holds the memory now: models that are declared resident, models with work in flight, other fleets, other programs. An on-demand model gets its place as soon as one of them may go; nothing is taken from a model in use.",
    "`cortex top` and `cortex status` show who holds what. `foreign` memory is another program's: `nvidia-smi` names it.",
    "A smaller `context`, fewer slots (`parallel`) or `kv_cache_type = \"q8_0\"` make a model smaller; `cortex plan` shows by how much.",
  ),
  too_many_connections: explained(
    "More connections are open than `connections` in [gateway.limits] allows, 4096 unless declared. Clients that keep idle connections by the hundred are the usual reason.",
  ),
  queue_full: explained(
    "Every slot of the model is busy, and as many requests as may wait are waiting already. It is refused at once, because waiting longer than a client does would help nobody.",
    "`cortex models` shows slots and queue. More slots (`parallel`), another copy (`replicas`), or a longer queue (`queue_limit` in [gateway]) give room; `cortex bench URL` shows what an endpoint can take.",
    "For readers of events: close one; a gateway serves a bounded number of them.",
  ),
  draining: explained(
    "What was asked is on its way out: a gateway or neuron that shuts down, a neuron that somebody drains, or a model that is being unloaded. Work in flight is finished first; new work goes elsewhere.",
    "`cortex status` shows what is draining. If nobody meant it: `d` in `cortex top` lets a neuron work again.",
  ),
  stale_generation: explained(
    "Between the look at a neuron and the change that was sent to it, something else changed there. The neuron refuses rather than doing what was decided about another state; nothing was changed.",
    "`cortex apply` looks again and goes on from what there is.",
  ),
  stale_epoch: explained(
    "Each apply has a number, the epoch, and the neuron has already served a newer one: somebody else has taken the lock since. What this apply still sends is refused.",
    "`cortex history` shows who applied what; then `cortex plan` and `cortex apply` again.",
  ),
  model_busy: explained(
    "The model still answers requests and was to be unloaded, or is being stopped already. Work in flight is never cut unless somebody says so: after its drain time the model stays.",
    "`cortex models` shows the requests in flight. Apply again later, or give them longer: `drain_secs` in [eviction].",
  ),
  spec_conflict: explained(
    "The model is loaded already with other settings (context, slots, source), and one neuron holds one copy of a model. A load does not change what is there.",
    "`cortex plan` shows the difference, `cortex apply` replaces the copy in the right order.",
  ),
  job_not_found: explained(
    "Loads and unloads are jobs of a neuron, which keeps the latest ones and forgets them when it is started anew.",
    "`cortex jobs` lists those that are kept.",
  ),
  request_not_found: explained(
    "The gateway remembers its last 1000 requests, in memory, and each gateway only its own. A request's id is in the header `x-request-id` of its answer.",
  ),
  job_cancelled: explained(
    "The load was called off before it was done: by an unload, by somebody who cancelled the job, by the end of the neuron, or because nobody waited for it any more.",
  ),
  request_ended_worker: explained(
    "This very request has ended the process of its model before, and is not run again for a while, so that one request cannot take a model down again and again. It is known by its fingerprint, not by its content, which is kept nowhere.",
    "The neuron's log has the last words of the process. An engine that dies of a request is a defect worth reporting.",
  ),
  worker_crashed: explained(
    "The process that holds the model ended while it answered: a fault in native code, the kernel's out-of-memory killer, a card that failed. Other models are not touched, and the neuron loads this one again by itself, later each time.",
    "`cortex jobs` shows the loads after it. In the neuron's log, signal 9 (SIGKILL) points to memory: `dmesg` says so.",
  ),
  upstream_connection_error: explained(
    "Something that should have answered did not, or answered what it should not: a neuron for its gateway, a gateway for a command, a server under test.",
    "`cortex doctor` tries every connection from this machine and says what is in the way; `--gateway` and `endpoint` in the files say where it is looked for.",
    "If what answers is a proxy's page, the address leads to the proxy and not to cortex.",
  ),
  upstream_cut_stream: explained(
    "The answer broke off before its end: the neuron or its connection went away, or it was silent for longer than `silence_secs` in [gateway.limits]. It ends with an error and never looks complete; what was received is incomplete.",
    "`cortex explain REQUEST` tells where it was answered and what happened there.",
  ),
  load_timeout: explained(
    "The model was still loading when the request had waited as long as it may (`queue_wait_secs`, or `queue_wait_stream_secs` for streams, in [gateway]). The load goes on for whoever comes next.",
    "`cortex jobs` shows how far it is. Where loads are long, let clients stream: they are kept alive meanwhile.",
  ),
  device_lost: explained(
    "A card stopped answering its driver: it fell off the bus, overheated, or its driver failed. Models on it are gone, those on other cards go on.",
    "`cortex doctor` on that machine says what the driver sees.",
  ),
  engine_missing: explained(
    "Models of files are run by node-llama-cpp, and it is not installed where the neuron runs, or not in the one version that fits. The npm package comes without it, so that a gateway needs no gigabyte of GPU code.",
    "`cortex doctor` shows the version that is wanted and the one that is there.",
  ),
  engine_forbidden: explained(
    "The model's `command` names a program that this neuron does not run. Only those named by `cortex neuron --engine PROGRAM` are run, since whoever changes fleet files could otherwise run anything on the machine.",
    "docs/external-engines.md says how a program is matched.",
  ),
  engine_unreachable: explained(
    "Nothing answers at the `endpoint` of the model's external engine, as seen from its neuron (not from the gateway, and not from where you sit).",
    "On the neuron's machine: `curl ENDPOINT/v1/models`. An engine that needs longer to start: `start_timeout_secs`.",
  ),
  engine_exited: explained(
    "The external engine that the neuron started ended before it was ready. Its last lines are in the error's `last_log_lines`: a wrong argument, a port that is taken, too little memory.",
    "`cortex jobs` shows the failure; the same command by hand, with the same CUDA_VISIBLE_DEVICES, shows all of its words.",
  ),
  engine_timeout: explained(
    "The external engine runs, but was not ready in time: `start_timeout_secs`, 600 s unless declared. Downloads and the compilation of kernels happen within it.",
  ),
  engine_unsuitable: explained(
    "The external engine answers, but not for this model, or it can do nothing with it that was tried, or it does not say how long its context is.",
    "`served_as` is the name by which the engine knows the model; `context` says what it does not say; `capabilities` declares what cannot be tried.",
  ),
  engine_denied: explained(
    "The external engine wants a token, or another one. It is read from a file on the neuron's machine, so that it is in no repository.",
    "The file needs mode 600. docs/external-engines.md has an example.",
  ),
  engine_refused: explained(
    "The external engine refused the request as wrong; the message has its own words. What cortex passes on it passes untouched, so what the engine does not know it refuses itself.",
  ),
  engine_error: explained(
    "The external engine failed by itself (HTTP 5xx). Its words may hold paths and versions, and so are in the log only.",
  ),
  load_failed: explained(
    "The engine could not load the model, for a reason that has no code of its own: a GPU that it cannot use, a cache type that the model does not take, an adapter or a draft model of another family, a process that ended while it loaded.",
    "`cortex jobs` shows the failure with the engine's last words; `cortex selftest` on that machine shows whether the engine works at all.",
    "A failed load is tried again later each time; `cortex apply` tries at once.",
  ),
  source_not_found: explained(
    "There is no such file where the source points: in the neuron's model store (`--model-root`), in the repository of the hub, or at the URL. The message says what is there and what was probably meant.",
    "`cortex store ls` on the neuron lists what was fetched, `cortex pull SOURCE` fetches before a load needs it.",
  ),
  source_forbidden: explained(
    "The source leads outside of the directories that the neuron may read models from, climbs with `..` or by a link, or its user may not read or write there.",
    "`cortex neuron --model-root /srv/models` allows a directory; files must be readable by the neuron's user.",
  ),
  source_unsupported: explained(
    "The source has a form that this neuron does nothing with: an unknown scheme, a path where a name is wanted, credentials in a URL, or a harness that it does not offer.",
    "docs/fleet-files.md lists the forms that `source` may have.",
  ),
  model_file_invalid: explained(
    "The file does not begin as a GGUF does, or llama.cpp refuses it: a page of HTML that was saved as a file, a download that was cut, an architecture newer than this engine.",
    "`cortex store verify` compares what was fetched with its digests.",
  ),
  checksum_mismatch: explained(
    "The file's sha256 is not the one that is pinned in the model's block, stands beside the file, or is announced by the hub. It is not loaded.",
    "`cortex store verify` finds damaged files. If the file was changed on purpose, pin its new digest: `sha256sum FILE`.",
  ),
  source_denied: explained(
    "The hub does not let this neuron read the repository: it is private, or gated and its terms are not accepted, or the token is missing or without that right.",
    "HF_TOKEN is read from the neuron's own environment: for the packages, in /etc/cortex-neuron/neuron.env.",
  ),
  download_failed: explained(
    "The download broke off or was answered with an error, and goes on from where it was at the next try. Hubs that limit the rate say when to come back.",
    "HF_ENDPOINT in the neuron's environment names a mirror. `cortex pull SOURCE` on that machine shows the download by itself.",
  ),
  disk_full: explained(
    "The disk of the neuron's model store, or of what is to be written, has too little room. Downloads are refused before they begin when it is known that they do not fit.",
    "`cortex store ls` shows sizes and last use; `cortex store gc --unused-days 30 --dry-run` shows what could go.",
  ),
  internal_error: explained(
    "Something happened that the authors held to be impossible. It is not your fault, and the log has more than the message.",
    "`cortex doctor` first, since a machine that is out of memory or disk can look like this.",
  ),
} satisfies Partial<Record<ErrorCode, Explained>>;
