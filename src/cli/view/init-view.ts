import type { View } from "./view.ts";

interface InitReport {
  readonly directory: string;
  readonly fleet: string;
  readonly hosts: readonly string[];
  readonly hosts_from: "asked" | "origin" | "default";
  readonly package: string | null;
  readonly in_repository: boolean;
  readonly made: readonly { readonly path: string; readonly purpose: string }[];
  readonly kept: readonly { readonly path: string; readonly reason: string }[];
}

/** What was made, what was left, and what to do next. `ciHosts` are all that CI can be made for. */
export const initView = <Report extends InitReport>(
  result: Report,
  ciHosts: readonly string[],
): View<Report> => ({ json: result, human: () => initText(result, ciHosts) });

function initText(result: InitReport, ciHosts: readonly string[]): string {
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
    ...hostRemark(result, ciHosts),
    ...packageRemark(result),
    ...(made.some(({ path }) => path === "fleet.toml") ? nextSteps(result) : []),
  ].join("\n");
}

function hostRemark({ hosts, hosts_from }: InitReport, ciHosts: readonly string[]): string[] {
  if (hosts_from === "asked") return [];
  const others = ciHosts.filter((host) => !hosts.includes(host)).join(", ");
  const why = hosts_from === "origin" ? "as the remote origin says" : "since no remote says otherwise";
  return ["", `CI is for ${hosts.join(", ")}, ${why}. For ${others}: cortex init --ci <host>`];
}

/** Without a package, CI has nothing to run. */
function packageRemark({ hosts, package: spec, made }: InitReport): string[] {
  const workflows = made.filter(({ path }) => path.endsWith(".yml")).map(({ path }) => path);
  if (hosts.length === 0 || spec !== null || workflows.length === 0) return [];
  return ["", `CI installs cortex from CORTEX_PACKAGE: fill it in at the top of ${workflows.join(" and ")}`];
}

function nextSteps({ directory, in_repository }: InitReport): string[] {
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
