import { Args, Flags } from "@oclif/core";
import { BaseCommand } from "../cli/base-command.ts";
import { CortexError } from "../core/errors.ts";
import { CI_HOSTS, type CiHost } from "../controller/adopt/init-files.ts";
import type { InitResult } from "../controller/adopt/io/init-repository.ts";
import { fleetTableSchema } from "../fleet/schema/fleet-schema.ts";
import { hasSecret } from "../fleet/text/mask-secrets.ts";

export default class InitCommand extends BaseCommand {
  static override summary = "make a fleet repository that works: files, editor support, CI, README";
  static override description =
    "Writes what is missing and never over what is there, so it can also add CI for another host later.";
  static override examples = [
    "<%= config.bin %> init fleet",
    "<%= config.bin %> init --ci gitlab          # add a pipeline to the repository here",
    "<%= config.bin %> init fleet --name home --ci none",
    "<%= config.bin %> init fleet --package https://git.example/ops/cortex/releases/cortex-0.1.0.tgz",
  ];
  static override args = {
    directory: Args.string({ default: ".", description: "directory of the repository" }),
  };
  static override flags = {
    name: Flags.string({ helpValue: "NAME", summary: "name of the fleet; default: from the directory" }),
    ci: Flags.option({
      options: [...CI_HOSTS, "none"] as const,
      multiple: true,
      summary: "where CI runs (may be repeated); default: what the remote origin says, else github",
    })(),
    package: Flags.string({
      env: "CORTEX_PACKAGE",
      helpValue: "SPEC",
      summary: "what npm installs in CI jobs: URL or path of the cortex package; default: to be filled in",
    }),
    git: Flags.boolean({
      default: true,
      allowNo: true,
      summary: "run `git init` where there is no repository yet",
    }),
  };

  async run(): Promise<InitResult> {
    const { args, flags } = await this.parse(InitCommand);
    const { initRepository } = await import("../controller/adopt/io/init-repository.ts");
    const result = await initRepository(
      {
        directory: args.directory,
        fleetName: checkedName(flags.name),
        hosts: chosenHosts(flags.ci),
        packageSpec: checkedPackage(flags.package),
        git: flags.git,
      },
      { inherited: this.environment.inherited },
    );
    this.show(describe(result));
    return result;
  }
}

function checkedName(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const checked = fleetTableSchema.safeParse({ name });
  if (checked.success) return name;
  throw new CortexError(
    "usage_error",
    `--name ${checked.error.issues[0]?.message ?? "is not allowed"}, not "${name}"`,
    {
      next: "cortex init --name home",
    },
  );
}

/** It stands in YAML and reaches npm as one word. */
function checkedPackage(spec: string | undefined): string | undefined {
  if (spec !== undefined && hasSecret(spec)) {
    throw new CortexError(
      "usage_error",
      "--package holds a password or a token, and the workflow is in git",
      {
        next: "name a package that a job may fetch without one, or put cortex on the runner",
      },
    );
  }
  if (spec === undefined || /^[A-Za-z0-9@./~][A-Za-z0-9@:%+,=#&?./_~^-]*$/.test(spec)) return spec;
  throw new CortexError("usage_error", `--package "${spec}" is no package that npm installs`, {
    next: "cortex init --package https://host/cortex-0.1.0.tgz",
  });
}

function chosenHosts(flags: readonly (CiHost | "none")[] | undefined): readonly CiHost[] | undefined {
  if (flags === undefined) return undefined;
  const hosts = [...new Set(flags)].filter((host) => host !== "none");
  if (hosts.length > 0 && flags.includes("none")) {
    throw new CortexError("usage_error", "--ci none goes with no other --ci", { next: "cortex init --help" });
  }
  return hosts;
}

function describe(result: InitResult): string {
  const { directory, fleet, made, kept } = result;
  const width = Math.max(0, ...[...made, ...kept].map(({ path }) => path.length));
  const headline =
    made.length === 0
      ? `Nothing to do in ${directory}: everything is there.`
      : `Made in ${directory} (fleet ${fleet}):`;
  return [
    headline,
    ...made.map(({ path, purpose }) => `  + ${path.padEnd(width)}   ${purpose}`),
    ...(kept.length > 0 && made.length > 0 ? ["", "Left as they are:"] : []),
    ...kept.map(({ path, reason }) => `    ${path.padEnd(width)}   ${reason}`),
    ...hostRemark(result),
    ...packageRemark(result),
    ...(made.some(({ path }) => path === "fleet.toml") ? nextSteps(result) : []),
  ].join("\n");
}

function hostRemark({ hosts, hosts_from }: InitResult): string[] {
  if (hosts_from === "asked") return [];
  const others = CI_HOSTS.filter((host) => !hosts.includes(host)).join(", ");
  const why = hosts_from === "origin" ? "as the remote origin says" : "since no remote says otherwise";
  return ["", `CI is for ${hosts.join(", ")}, ${why}. For ${others}: cortex init --ci <host>`];
}

/** Without a package, CI has nothing to run. */
function packageRemark({ hosts, package: spec, made }: InitResult): string[] {
  const workflows = made.filter(({ path }) => path.endsWith(".yml")).map(({ path }) => path);
  if (hosts.length === 0 || spec !== null || workflows.length === 0) return [];
  return ["", `CI installs cortex from CORTEX_PACKAGE: fill it in at the top of ${workflows.join(" and ")}`];
}

function nextSteps({ directory, in_repository }: InitResult): string[] {
  return [
    "",
    "Next:",
    ...(directory === "." ? [] : [`  cd ${shellWord(directory)}`]),
    "  cortex neuron    in a terminal of its own: this machine becomes the neuron local",
    "  cortex plan      what apply would do",
    "  cortex apply     do it; the demo model ships with cortex",
    "  cortex serve     the endpoint for clients",
    "Then edit fleet.toml and models.toml, and keep them in git:",
    `  ${in_repository ? "" : "git init && "}git add --all && git commit --message "A fleet"`,
  ];
}

/** A path as a shell reads it back. */
const shellWord = (text: string): string =>
  /^[A-Za-z0-9_./~+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
