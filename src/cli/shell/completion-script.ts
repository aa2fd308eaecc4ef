import type { KnownCommand, KnownFlag } from "./known-commands.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * A script without a process of ours: pressing Tab costs nothing. Made anew by a newer version (`cortex completion`), since
 * it holds the commands of the version that made it.
 */
export function completionScript(shell: Shell, commands: readonly KnownCommand[]): string {
  if (shell === "fish") return fishScript(commands);
  return shell === "bash" ? bashScript(commands) : zshScript(commands);
}

/** Every flag may be asked for help and for JSON. */
const flagNames = (flags: readonly KnownFlag[]): readonly string[] => [
  ...flags.flatMap(({ name, char }) => [`--${name}`, ...(char === null ? [] : [`-${char}`])]),
  "--help",
];

/** What may stand after each beginning of a command: "" has the first words, "plan" has "verify". */
function nextWords(commands: readonly KnownCommand[]): ReadonlyMap<string, ReadonlySet<string>> {
  const words = new Map<string, Set<string>>();
  for (const { name } of commands) {
    const parts = name.split(" ");
    for (const [at, part] of parts.entries()) {
      const before = parts.slice(0, at).join(" ");
      words.set(before, (words.get(before) ?? new Set()).add(part));
    }
  }
  return words;
}

function bashScript(commands: readonly KnownCommand[]): string {
  const words = nextWords(commands);
  const flags = commands.map(
    ({ name, flags: own }) => `    "${name}") flags="${flagNames(own).join(" ")}" ;;`,
  );
  const nexts = [...words].map(([before, next]) => `    "${before}") next="${[...next].join(" ")}" ;;`);
  const values = commands.flatMap(({ name, flags: own }) =>
    own
      .filter(({ options }) => options.length > 0)
      .map(({ name: flag, options }) => `    "${name} --${flag}") values="${options.join(" ")}" ;;`),
  );
  return `# cortex completion bash > ~/.local/share/bash-completion/completions/cortex
_cortex() {
  local word previous command next flags values at
  word="\${COMP_WORDS[COMP_CWORD]}"
  previous="\${COMP_WORDS[COMP_CWORD-1]}"
  command=""
  for ((at = 1; at < COMP_CWORD; at++)); do
    [[ "\${COMP_WORDS[at]}" == -* ]] && break
    command="\${command:+$command }\${COMP_WORDS[at]}"
  done
  next="" flags="" values=""
  case "$command $previous" in
${values.join("\n")}
  esac
  if [[ -n "$values" ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$word"))
    return
  fi
  # What is no word of a command is an argument of it.
  while :; do
    case "$command" in
${nexts.join("\n")}
    esac
    case "$command" in
${flags.join("\n")}
    esac
    [[ -n "$next$flags" || -z "$command" ]] && break
    [[ "$command" == *" "* ]] && command="\${command% *}" || command=""
  done
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -W "$next" -- "$word") $(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _cortex cortex
`;
}

/** zsh runs bash's completions, and lists them in its own way. */
const zshScript = (commands: readonly KnownCommand[]): string =>
  `#compdef cortex
# cortex completion zsh > ~/.zfunc/_cortex, with fpath+=~/.zfunc before compinit in ~/.zshrc
autoload -U +X bashcompinit && bashcompinit
${bashScript(commands).split("\n").slice(1).join("\n")}`;

function fishScript(commands: readonly KnownCommand[]): string {
  const words = nextWords(commands);
  const summaries = new Map(commands.map(({ name, summary }) => [name, summary]));
  const nexts = [...words].flatMap(([before, next]) =>
    [...next].map((word) => {
      const name = before === "" ? word : `${before} ${word}`;
      return `complete -c cortex -n "__cortex_at '${before}'" -a ${word} -d ${quoted(summaries.get(name) ?? "")}`;
    }),
  );
  const flags = commands.flatMap(({ name, flags: own }) =>
    own.map(({ name: flag, char, summary, takesValue, options }) => {
      const short = char === null ? "" : ` -s ${char}`;
      const values = options.length > 0 ? ` -x -a "${options.join(" ")}"` : takesValue ? " -r" : "";
      return `complete -c cortex -n "__cortex_in '${name}'" -l ${flag}${short}${values} -d ${quoted(summary)}`;
    }),
  );
  return `# cortex completion fish > ~/.config/fish/completions/cortex.fish
function __cortex_words
    set -l words (commandline -opc)[2..]
    string match -v -- '-*' $words
end
function __cortex_at
    test (string join ' ' (__cortex_words)) = "$argv[1]"
end
function __cortex_in
    string match -q -- "$argv[1]*" (string join ' ' (__cortex_words))
end
${nexts.join("\n")}
${flags.join("\n")}
`;
}

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
