import type { Interfaces } from "@oclif/core";
import { by } from "../../core/order.ts";

export interface KnownFlag {
  readonly name: string;
  readonly char: string | null;
  readonly summary: string;
  readonly takesValue: boolean;
  /** The values that it may have; empty where any may be. */
  readonly options: readonly string[];
  readonly helpValue: string;
  readonly fallback: string | null;
}

export interface KnownCommand {
  /** As it is typed: "plan verify". */
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
  readonly args: readonly { readonly name: string; readonly required: boolean; readonly summary: string }[];
  readonly flags: readonly KnownFlag[];
}

type Loadable = Interfaces.Config["commands"][number];

/** Every command that is not hidden, in the order of its name, as oclif has read it. */
export const knownCommands = (commands: readonly Loadable[]): readonly KnownCommand[] =>
  commands
    .filter(({ hidden }) => !hidden)
    .map(knownCommand)
    .sort(by(({ name }) => name));

function knownCommand({
  id,
  summary = "",
  description = "",
  examples = [],
  args,
  flags,
}: Loadable): KnownCommand {
  return {
    name: id.replaceAll(":", " "),
    summary,
    description,
    examples: examples.map((example) =>
      (typeof example === "string" ? example : example.command).replaceAll("<%= config.bin %>", "cortex"),
    ),
    args: Object.values(args).map((arg) => ({
      name: arg.name,
      required: arg.required === true,
      summary: arg.description ?? "",
    })),
    flags: Object.values(flags)
      .filter(({ hidden }) => hidden !== true)
      .map(knownFlag)
      .sort(by(({ name }) => name)),
  };
}

function knownFlag(flag: Loadable["flags"][string]): KnownFlag {
  const takesValue = flag.type === "option";
  const fallback: unknown = takesValue ? flag.default : undefined;
  return {
    name: flag.name,
    char: flag.char ?? null,
    summary: flag.summary ?? flag.description ?? "",
    takesValue,
    options: takesValue ? [...(flag.options ?? [])] : [],
    helpValue: takesValue && typeof flag.helpValue === "string" ? flag.helpValue : "VALUE",
    fallback: typeof fallback === "string" || typeof fallback === "number" ? String(fallback) : null,
  };
}
