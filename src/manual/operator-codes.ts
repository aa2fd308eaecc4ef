import type { ErrorCode } from "../core/errors.ts";
import { explained, type Explained } from "./explained.ts";

/** What an operator or a script got wrong, or what stands in the way of a command. */
// oxfmt-ignore
export const OPERATOR_CODES = {
  usage_error: explained(
    "The command line cannot be understood: an unknown flag or command, a value that is none, a file that cannot be read. Nothing was done.",
    "`cortex completion bash` (zsh, fish) prints a script that completes commands, flags and values.",
  ),
  fleet_not_found: explained(
    "There is no fleet where the command looked: `--config`, else the current directory. A fleet is a directory with at least one .toml file, one such file, or `git+<url>`.",
  ),
  fleet_incomplete: explained(
    "Git knows of files of the fleet that are not on the disk (a sparse checkout, a deleted file, a submodule, a link that leads nowhere). Half a fleet would read as if the rest had been taken out, and its models would be unloaded; so nothing is done.",
    "`git status` shows what is missing. To read what git has instead of the disk: `cortex plan --ref HEAD`.",
  ),
  fleet_invalid: explained(
    "The fleet files have errors; each finding has its place, its own code and what to do. Nothing acts on a fleet that is not whole.",
    "`cortex validate` shows all of them, also as annotations (`--format github`) and SARIF; `cortex explain CTX102` explains the code of a finding.",
  ),
  fleet_revision_unknown: explained(
    "The repository has no such revision: a spelling, a branch that was not fetched, a shallow clone that lacks its history, or a directory outside of git.",
    "`git fetch --unshallow` brings the history; CI checkouts are shallow unless told otherwise (`fetch-depth: 0`).",
  ),
  fleet_unreachable: explained(
    "Git could not read the fleet repository: the host does not answer, its key is unknown, or access is denied. git asks nobody for a password here; `GIT_SSH_COMMAND` and credential helpers work as usual.",
    "`git ls-remote URL` must work as the same user on the same machine.",
  ),
  refs_not_writable: explained(
    "Lock and history are refs in the remote of the fleet repository, and this account may not push them: a read-only deploy key, a protected namespace, a mirror.",
    "docs/gitops.md says which refs are written. Without them, the lock is kept on the neurons and no history is written.",
  ),
  lock_held: explained(
    "Somebody else is applying to this fleet; the message says who, where and since when. Two applies at once would work against each other.",
    "A holder that was killed is noticed by the next apply by itself, after half the lock's time to live. By hand: `cortex lock release ID`.",
  ),
  lock_unreachable: explained(
    "There is no remote that keeps the lock, so it is kept by most of the neurons, and too few of them answer.",
    "`cortex neurons` shows who is silent.",
  ),
  leases_not_kept: explained(
    "There is no remote that keeps the lock, and a neuron runs a version of cortex that keeps none either.",
  ),
  lock_lost: explained(
    "The lock could not be renewed in time, or somebody released it: another apply may have begun. Nothing more is sent; what was done stays.",
    "`cortex lock ls` shows the lock as it is now.",
  ),
  history_not_kept: explained(
    "The history of a fleet is kept in refs of its git remote; here is no remote, or nobody has applied a commit yet.",
    "`git remote -v` in the fleet repository shows whether it has one.",
  ),
  commit_untrusted: explained(
    "Commits have to be signed here (`verify`), and this one is not, or by a key that is not among the signers. What is not vouched for is not applied and not served.",
    "`git verify-commit REV` shows what git thinks of it. `cortex reconcile --verify ssh --signers FILE` names who is trusted.",
  ),
  signers_unusable: explained(
    "The file of trusted keys cannot be read as such. For `verify = \"gpg\"` it holds exported public keys, for `ssh` lines of allowed signers (`man ssh-keygen`).",
  ),
  lock_not_found: explained(
    "There is no lock with this id, or it moved while it was released: its holder is alive.",
  ),
  plan_incomplete: explained(
    "All that could be done was done, and the fleet still is not as its files declare: something does not fit, a neuron is silent, or a protected copy is in the way. The exit code tells scripts that this is not the end.",
    "`cortex plan` names what is left open and the least change that would help; `cortex why MODEL` asks about one.",
  ),
  plan_refused: explained(
    "Before an apply the plan is worked out once more by code that shares none with the planner, and this check disagrees, or the planner itself found it unsound. Nothing was sent.",
    "`cortex plan verify plan.json` shows each doubt. A saved plan that somebody changed is refused the same way.",
  ),
  mass_unload: explained(
    "The plan takes away more of what is loaded than `max_unload_percent` in [gitops] allows (50 unless declared). A file that was lost or a filter gone wrong looks just like that.",
    "`cortex plan` shows what goes. The number in the consent has to be the one of the plan, so that it holds for this plan alone.",
  ),
  snapshot_invalid: explained(
    "The file is no snapshot, is of another version of cortex, or of another fleet than the files declare.",
  ),
  apply_failed: explained(
    "At least one step failed, and what depends on it was not started. Everything that was done stays, models in use were not touched, and the next apply goes on from there.",
    "Above the summary each failed step has a code of its own; `cortex explain CODE` explains it, `cortex jobs` shows what the neuron did.",
  ),
  probe_failed: explained(
    "The copy was loaded and asked the question of `probe`, and its answer was not as `expect` or `dimensions` want, or did not come within `within_secs`. It was unloaded again, so that what it should have replaced goes on serving.",
    "Ask it yourself: `cortex chat MODEL`.",
  ),
  step_timeout: explained(
    "Nothing of a step moved for as long as `--step-timeout` allows. The neuron goes on with it, or drops it.",
    "`cortex jobs --watch` shows whether it moves after all; `cortex apply --step-timeout 2h` gives it longer.",
  ),
  confirmation_required: explained(
    "The command asks before it changes something, and there is nobody to answer: no terminal, as in CI.",
  ),
  settings_unreadable: explained(
    "`cortex connect --write` changes settings of other programs, and leaves everything else in the file as it was. This file cannot be read, or is written in a way in which that cannot be promised; it was not touched.",
    "`cortex connect CLIENT` prints the same settings.",
  ),
  address_in_use: explained(
    "Another process listens on the address already, often an older cortex that still runs.",
    "`ss -ltnp` names the process; `cortex doctor` looks at all ports that cortex wants.",
  ),
  bind_needs_token: explained(
    "A neuron that other machines can reach can be told to load and unload by all of them. So beyond loopback it starts only with a token or a certificate of the fleet.",
    "docs/fleet-certificates.md says how a machine joins by one word.",
  ),
  invitation_refused: explained(
    "The invitation was used already, taken back, has expired, or was never made here. Each is good for one machine and once.",
    "`cortex neuron ls` lists who has joined.",
  ),
  authority_unreachable: explained(
    "The machine that wants to join does not reach the fleet's authority at the address in the invitation, or somebody else answers there.",
    "`cortex neuron invite NAME --at HOST:PORT` says how other machines reach it. A firewall in between has to let that port pass.",
  ),
  authority_unproven: explained(
    "Who answers at the address of the invitation has another key than the authority that made it. That is a wrong address, or somebody in between.",
  ),
  authority_not_found: explained(
    "The fleet's authority is made with the first invitation, in the data directory of the user that makes it. Here is none: it may be another user's, or another machine's.",
    "CORTEX_DATA_DIR says where a service keeps its data; the packages use /var/lib/cortex.",
  ),
  certificate_refused: explained(
    "The certificate was revoked, is not of this fleet's authority, or the list of revocations is not signed by it.",
    "`cortex neuron ls` shows which certificates were given out and which are revoked.",
  ),
  identity_unusable: explained(
    "The file with this machine's key and certificate can be read by others, or is damaged.",
    "If only its mode is wrong: `chmod 600 FILE`.",
  ),
  token_file_unsafe: explained(
    "A file with a token can be read or changed by others, cannot be read at all, or holds something that is no token.",
    "Make one: `(umask 077; openssl rand -hex 32 > neuron.token)`. Commands, gateways and the neuron read the same token.",
  ),
  ledger_unusable: explained(
    "The gateway counts usage in a file of its data directory, or in the Redis of `[ledger] url`, and could use neither: no right to write, a wrong password, a Redis Cluster.",
    "docs/fleet-files.md has `[ledger]`; the password belongs into CORTEX_LEDGER__URL.",
  ),
  ledger_unavailable: explained(
    "The Redis that counts for all gateways does not answer, and requests of limited keys are not let in uncounted. Keys without limits are served meanwhile.",
  ),
  bind_needs_keys: explained(
    "The gateway is to listen beyond its own machine, and the fleet declares no key: whoever reaches it could use every model. It does not start like that unless somebody says that it is meant.",
    "`cortex key create NAME` puts a hash into the fleet files and prints the secret once.",
  ),
  interrupted: explained(
    "Somebody pressed Ctrl-C or answered no, or the client went away. What was finished stays finished, and nothing was left half done.",
  ),
} satisfies Partial<Record<ErrorCode, Explained>>;
