import type { KnownCommand, KnownFlag } from "./known-commands.ts";

/** One page for each command, by the name of its file, and one for all of them. */
export function manPages(commands: readonly KnownCommand[], version: string): ReadonlyMap<string, string> {
  const pages = commands.map((command) => {
    const title = `cortex-${command.name.replaceAll(" ", "-")}`;
    return [`${title}.1`, commandPage(command, { title, version })] as const;
  });
  return new Map([["cortex.1", overviewPage(commands, version)], ...pages]);
}

function overviewPage(commands: readonly KnownCommand[], version: string): string {
  return page({ title: "cortex", version }, [
    section("NAME", "cortex \\- mismatched GPU machines as one model endpoint, operated by git"),
    section("SYNOPSIS", ".B cortex\n.I COMMAND\n[\\fIoptions\\fR]"),
    section(
      "COMMANDS",
      commands.map(({ name, summary }) => `.TP\n.B ${roff(name)}\n${roff(summary)}`).join("\n"),
    ),
    section(
      "SEE ALSO",
      commands.map(({ name }) => `\\fBcortex\\-${name.replaceAll(" ", "\\-")}\\fR(1)`).join(", "),
    ),
  ]);
}

interface PageHead {
  readonly title: string;
  readonly version: string;
}

function commandPage(command: KnownCommand, head: PageHead): string {
  const { name, summary, description, examples, args, flags } = command;
  const shown = args.map(({ name: arg, required }) =>
    required ? arg.toUpperCase() : `[${arg.toUpperCase()}]`,
  );
  return page(head, [
    section("NAME", `${roff(head.title)} \\- ${roff(summary)}`),
    section("SYNOPSIS", `.B cortex ${roff(name)}\n${roff(["[options]", ...shown].join(" "))}`),
    section("DESCRIPTION", roff(description === "" ? summary : description)),
    ...(args.length === 0
      ? []
      : [
          section(
            "ARGUMENTS",
            args.map((arg) => `.TP\n.I ${roff(arg.name.toUpperCase())}\n${roff(arg.summary)}`).join("\n"),
          ),
        ]),
    section("OPTIONS", [...flags.map(flagText), ".TP\n.B \\-\\-help\nall of this, in short"].join("\n")),
    section("EXAMPLES", examples.map((example) => `.PP\n.nf\n${roff(example)}\n.fi`).join("\n")),
    section(
      "EXIT STATUS",
      "0 done, 1 failed, 2 changes are pending, 64 wrong usage, 69 try again, 70 a defect, 130 interrupted.",
    ),
    section("SEE ALSO", "\\fBcortex\\fR(1)"),
  ]);
}

function flagText({ name, char, summary, takesValue, options, helpValue, fallback }: KnownFlag): string {
  const short = char === null ? "" : `\\-${char}, `;
  const value = takesValue ? ` \\fI${roff(options.length > 0 ? options.join("|") : helpValue)}\\fR` : "";
  const standard = fallback === null ? "" : ` Default: ${roff(fallback)}.`;
  return `.TP\n\\fB${short}\\-\\-${roff(name)}\\fR${value}\n${roff(summary)}${standard === "" ? "" : `.${standard}`}`;
}

const page = ({ title, version }: PageHead, sections: readonly string[]): string =>
  `.TH ${title.toUpperCase()} 1 "" "cortex ${version}" "cortex"\n${sections.join("\n")}\n`;

const section = (name: string, text: string): string => `.SH ${name}\n${text}`;

/** A backslash and a hyphen mean something to roff, and so does a point or a quote that begins a line. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\\\")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
