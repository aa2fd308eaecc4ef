/** Where a fleet repository's CI runs. */
export const CI_HOSTS = ["github", "forgejo", "gitea", "gitlab"] as const;
export type CiHost = (typeof CI_HOSTS)[number];

interface CiFlavour {
  readonly template: string;
  readonly path: string;
  readonly defaultRunner: string;
  /** A row of the README's table about the token that writes comments; empty where the host gives one. */
  readonly tokenRow: string;
}

const FLAVOURS: Readonly<Record<CiHost, CiFlavour>> = {
  github: {
    template: "github.yml",
    path: ".github/workflows/cortex.yml",
    defaultRunner: "ubuntu-latest",
    tokenRow: "",
  },
  forgejo: {
    template: "github.yml",
    path: ".forgejo/workflows/cortex.yml",
    defaultRunner: "docker",
    tokenRow: "",
  },
  gitea: {
    template: "github.yml",
    path: ".gitea/workflows/cortex.yml",
    defaultRunner: "ubuntu-latest",
    tokenRow: "",
  },
  gitlab: {
    template: "gitlab.yml",
    path: ".gitlab-ci.yml",
    defaultRunner: "",
    tokenRow:
      "| `CORTEX_CI_TOKEN` (masked variable) | a project access token with scope `api` that writes the comment | for the comment; the plan is in the job's log and artifact without it |\n",
  },
};

const COMMENT_SCRIPT = ".cortex/ci/comment.mjs";

/** A file of the repository to be: which template it comes from, and what it is for. */
export interface InitFile {
  readonly path: string;
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
      template: FLAVOURS[host].template,
      purpose: "validate and plan on pull requests, apply after merge",
    })),
    ...(hosts.length === 0
      ? []
      : [
          {
            path: COMMENT_SCRIPT,
            template: "comment.mjs",
            purpose: "keeps one comment with the plan up to date",
          },
        ]),
  ];
}

/** What the README's template has places for. */
export interface InitText {
  readonly fleetName: string;
  readonly hosts: readonly CiHost[];
  /** Text of README-ci.md. */
  readonly ciSection: string;
}

/** Fills the places (`@name@`) of a template. */
export function fillTemplate(
  file: { readonly path: string; readonly text: string },
  values: InitText,
): string {
  const { fleetName, hosts, ciSection } = values;
  const [host] = hosts;
  const own = hosts.find((candidate) => FLAVOURS[candidate].path === file.path);
  const rows = hosts.map((each) => `| \`${FLAVOURS[each].path}\` | CI: see below |\n`).join("");
  const section = ciSection
    .replace("@ci-file@", hosts.map((each) => FLAVOURS[each].path).join("`, `"))
    .replace("@ci-token-row@\n", hosts.map((each) => FLAVOURS[each].tokenRow).join(""));
  return file.text
    .replaceAll("@fleet@", fleetName)
    .replaceAll("@default-runner@", own === undefined ? "" : FLAVOURS[own].defaultRunner)
    .replace("@ci-rows@\n", host === undefined ? "\n" : `${rows}\n`)
    .replace("@ci-section@\n", host === undefined ? "" : section);
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
