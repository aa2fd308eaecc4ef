import type { DiagnosticCode } from "../fleet/text/diagnostic-codes.ts";
import { explained, type Explained } from "./explained.ts";

/** What `cortex validate`, and every command that reads fleet files, finds in them. */
// oxfmt-ignore
export const FINDING_CODES = {
  CTX100: explained(
    "The directory has no fleet file: no name ends in `.toml`, or all that do are hidden.",
    "`cortex init fleet` makes a repository that works.",
  ),
  CTX101: explained(
    "The file is not TOML at this place: a quote that is not closed, a comma too many, text that is not UTF-8. The rest of the file is read as far as it can be, so that other findings are shown too.",
  ),
  CTX102: explained(
    "No such key exists in this table. Keys of other programs, and keys that stand in the wrong table, are recognised; the help says where they belong. Nothing is ignored in silence, since a key that does nothing is worse than an error.",
    "`cortex schema` prints the JSON Schema; editors complete and check with it.",
  ),
  CTX103: explained(
    "The key is right and its value is not: a text where a number is wanted, a number out of range, a word that is not among those allowed.",
  ),
  CTX104: explained("A table lacks a key that it cannot do without."),
  CTX105: explained(
    "The same key is set in two files, or twice in one. Fleet files are read as one, and no file wins over another; both places are shown.",
  ),
  CTX106: explained("Two blocks have one name. Lists of several files are joined, so the other one may be in another file: both places are shown."),
  CTX107: explained(
    "Two neurons have one address, perhaps spelled in two ways. One machine would be counted as two.",
  ),
  CTX108: explained("`pinned_on` names a neuron that no block declares."),
  CTX109: explained("The alias leads to a model that no block declares."),
  CTX110: explained("The alias leads to another alias. One step is all that a reader has to follow."),
  CTX111: explained(
    "An alias has the name of a model, so that it would not be clear which one a client means.",
  ),
  CTX112: explained(
    "A neuron holds one copy of a model, and fewer neurons are allowed for it than it wants copies.",
    "`pinned_on` narrows the choice: leave it out, or name more neurons.",
  ),
  CTX113: explained(
    "A fleet without any model would unload everything. That is never read out of an absence.",
  ),
  CTX114: explained("Models are declared and no machine is: nothing can be loaded."),
  CTX115: explained("`limit` promises clients more tokens than the model's context holds."),
  CTX116: explained("The source has a form that neurons do nothing with, or climbs out of its directory."),
  CTX117: explained(
    "The setting is allowed and does nothing in this place, such as `idle_unload_secs` of a model that stays loaded, or a `window` without a `hard_cap`.",
  ),
  CTX118: explained(
    "An environment variable that begins with CORTEX_ and has `__` in it is meant to override a setting, and there is none of that name.",
    "docs/fleet-files.md says how overrides are written; in blocks, names go by their letters and digits.",
  ),
  CTX119: explained("`vram_mb` spread over `min_devices` devices leaves less than 1 MB for each."),
  CTX120: explained("The file is larger than anything that people write. Was another file meant?"),
  CTX121: explained("Two keys have one hash, so one secret: whose usage it is could not be told."),
  CTX122: explained(
    "A pattern in a key's `models` matches no model and no alias, so it allows nothing. Often a spelling, or a model that was taken out.",
  ),
  CTX123: explained(
    "A password, a token or a key stands in a file that git keeps for ever, in every clone. The finding shows it as asterisks.",
    "Change the secret where it was given out. Keys are declared by hash (`cortex key create NAME`), tokens of engines by `token_file`, the ledger's password by CORTEX_LEDGER__URL.",
  ),
  CTX124: explained(
    "The setting belongs to the other kind of engine, so it would never reach the one that runs the model.",
    "docs/external-engines.md shows both forms of `harness = \"openai\"`.",
  ),
  CTX125: explained(
    "`revision` and `quant` choose something inside a repository of the hub, and this source is none, or says it itself already.",
  ),
  CTX126: explained(
    "The key is part of the format, and this version of cortex does nothing with it yet. It is shown, so that nobody relies on it.",
  ),
  CTX127: explained(
    "The model is to stay loaded, and every neuron that may hold it is declared as draining.",
    "`cortex plan` shows where its copies are now.",
  ),
  CTX128: explained("The API and the metrics of the gateway cannot share a port."),
  CTX129: explained(
    "The figure is possible and unlikely: 24 where MB are wanted looks like GB, 32 where tokens are wanted looks like thousands.",
  ),
  CTX131: explained(
    "The file is valid TOML and belongs to another program. All .toml files below the directory count as fleet files.",
    "`cortex plan --config fleet/` reads a directory of the repository alone.",
  ),
  CTX132: explained("On Linux `.TOML` is another ending than `.toml`, and the file would be left out without a word."),
  CTX133: explained(
    "`org/name` as a source is the name of a file in the neurons' own store. Repositories of the hub begin with `hf:`.",
    "`cortex store ls` on a neuron lists what its store has.",
  ),
  CTX140: explained(
    "The gateway is to listen beyond its own machine and nobody would have to show a key. It will not start like that.",
  ),
} satisfies Record<DiagnosticCode, Explained>;
