/** Where a fleet repository's CI runs. */
export const CI_HOSTS = ["github", "forgejo", "gitea", "gitlab"] as const;
export type CiHost = (typeof CI_HOSTS)[number];

interface CiFlavour {
  readonly template: string;
  /** From the top of the repository. */
  readonly path: string;
  readonly runner: string;
  /** Release of the checkout and setup-node actions that the host's runners can run. */
  readonly actionVersion: string;
  /** Rows of the README's table: the neurons' token, and what may write comments where the host gives nothing. */
  readonly secretRow: string;
  readonly tokenRow: string;
  /** Where apply leaves what it saw. */
  readonly snapshot: string;
}

const ACTIONS: Omit<CiFlavour, "path" | "runner" | "actionVersion"> = {
  template: "github.yml",
  secretRow: "| `CORTEX_NEURON_TOKEN` (secret) | the neurons' token | if they ask for one |\n",
  tokenRow: "",
  snapshot: "the branch `cortex-snapshot-@fleet@`",
};

const FLAVOURS: Readonly<Record<CiHost, CiFlavour>> = {
  github: {
    ...ACTIONS,
    path: ".github/workflows/cortex.yml",
    runner: "ubuntu-latest",
    actionVersion: "v5",
  },
  forgejo: { ...ACTIONS, path: ".forgejo/workflows/cortex.yml", runner: "docker", actionVersion: "v4" },
  gitea: { ...ACTIONS, path: ".gitea/workflows/cortex.yml", runner: "ubuntu-latest", actionVersion: "v4" },
  gitlab: {
    template: "gitlab.yml",
    path: ".gitlab-ci.yml",
    runner: "",
    actionVersion: "",
    secretRow:
      "| `CORTEX_NEURON_TOKEN` (variable, masked and protected) | the neurons' token | if they ask for one |\n",
    tokenRow:
      "| `CORTEX_CI_TOKEN` (variable, masked) | a project access token, role Reporter, scope `api`, that writes the comment | for the comment; without it the plan is in the job's log and artifact |\n",
    snapshot: "an artifact of the job `cortex-apply`",
  },
};

/** What the jobs of every host run. */
const SCRIPTS: readonly { readonly name: string; readonly purpose: string }[] = [
  { name: "install.sh", purpose: "installs cortex for the scripts beside it" },
  { name: "plan.sh", purpose: "checks a pull request and writes its plan" },
  { name: "comment.mjs", purpose: "keeps one comment with the plan up to date" },
  { name: "apply.sh", purpose: "applies after the merge, and notes what it saw" },
];
/** Where a job may push, it publishes by git; GitLab keeps artifacts. */
const PUBLISH_SCRIPT = { name: "publish-snapshot.sh", purpose: "hands that to the next plans" };
const SCRIPT_DIRECTORY = ".cortex/ci";

/** A file of the repository to be: which template it comes from, and what it is for. */
export interface InitFile {
  readonly path: string;
  /** Whether the path is from the top of the repository, where hosts look, instead of from the fleet's directory. */
  readonly atTop?: boolean;
  /** File name below assets/init; absent for the schema, which is generated. */
  readonly template: string | undefined;
  readonly purpose: string;
}

/** The files of a new fleet repository, in the order in which a person reads them. */
export function initFiles(hosts: readonly CiHost[], schemaPath: string): InitFile[] {
  return [
    { path: "fleet.toml", template: "fleet.toml", purpose: "the fleet, its gateway, its machines" },
    { path: "models.toml", template: "models.toml", purpose: "what it offers; the demo model to start with" },
    { path: "README.md", template: "README.md", purpose: "how to work with it" },
    { path: ".gitignore", template: "gitignore.txt", purpose: "keeps tokens and saved plans out of git" },
    { path: schemaPath, template: undefined, purpose: "completion and checks in editors" },
    ...hosts.map((host) => ({
      path: FLAVOURS[host].path,
      atTop: true,
      template: FLAVOURS[host].template,
      purpose: "validate and plan on pull requests, apply after merge",
    })),
    ...scriptsOf(hosts).map(({ name, purpose }) => ({
      path: `${SCRIPT_DIRECTORY}/${name}`,
      template: name,
      purpose,
    })),
  ];
}

function scriptsOf(hosts: readonly CiHost[]): readonly { readonly name: string; readonly purpose: string }[] {
  if (hosts.length === 0) return [];
  return hosts.some((host) => host !== "gitlab") ? [...SCRIPTS, PUBLISH_SCRIPT] : SCRIPTS;
}

/** What the templates have places for. */
export interface InitText {
  readonly fleetName: string;
  readonly hosts: readonly CiHost[];
  /** Text of README-ci.md. */
  readonly ciSection: string;
  /** Directory of the fleet from the top of the repository; `.` at the top. */
  readonly configPath: string;
  /** The branch that is applied. */
  readonly branch: string;
  /** What npm installs in CI; empty when nobody said. */
  readonly packageSpec: string;
}

/** Fills the places (`@name@`) of a template. */
export function fillTemplate(
  file: { readonly path: string; readonly text: string },
  values: InitText,
): string {
  const { hosts } = values;
  const own = hosts.find((candidate) => FLAVOURS[candidate].path === file.path);
  const rows = hosts.map((host) => `| \`${FLAVOURS[host].path}\` | CI: see below |\n`).join("");
  return file.text
    .replace("@ci-rows@\n", hosts.length === 0 ? "\n" : `${rows}\n`)
    .replace("@ci-section@\n", hosts.length === 0 ? "" : ciSection(values))
    .replaceAll("@fleet@", values.fleetName)
    .replaceAll("@config@", values.configPath)
    .replaceAll("@branch@", values.branch)
    .replaceAll("@package@", values.packageSpec)
    .replaceAll("@ci-file@", hosts.map((host) => FLAVOURS[host].path).join(" and "))
    .replaceAll("@default-runner@", own === undefined ? "" : FLAVOURS[own].runner)
    .replaceAll("@action-version@", own === undefined ? "" : FLAVOURS[own].actionVersion);
}

function ciSection({ hosts, ciSection: text }: InitText): string {
  const said = (what: "secretRow" | "tokenRow" | "snapshot"): string[] => [
    ...new Set(hosts.map((host) => FLAVOURS[host][what])),
  ];
  return text
    .replace("@ci-file@", hosts.map((host) => FLAVOURS[host].path).join("`, `"))
    .replace("@ci-secret-row@", said("secretRow").join(""))
    .replace("@ci-token-row@\n", said("tokenRow").join(""))
    .replace("@ci-snapshot@", said("snapshot").join(", "));
}

/** A fleet name out of a directory's: lower-case letters, digits and dashes. */
export function fleetNameFrom(directoryName: string): string {
  const name = directoryName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 63);
  return name === "" ? "home" : name;
}

/** The host that a remote's URL speaks of, or undefined when its name tells nothing. */
export function hostOfRemote(url: string): CiHost | undefined {
  const host = /^(?:[a-z+]+:\/\/)?(?:[^@/]+@)?([^:/]+)/i.exec(url)?.[1]?.toLowerCase() ?? "";
  if (host === "codeberg.org") return "forgejo";
  return CI_HOSTS.find((candidate) => host.split(".").some((part) => part.includes(candidate)));
}
