export const DEFAULT_BRANCH = "main";
/** Names that mean themselves in YAML, in a shell and in a pattern. */
const BRANCH = /^[A-Za-z0-9_][A-Za-z0-9._/-]*$/;

/** The branch that CI applies: what the remote publishes, else the one that is here. */
export function appliedBranch(branches: {
  /** Of the remote's HEAD; empty where no remote says. */
  readonly published: string;
  /** Checked out; empty with a detached head. */
  readonly present: string;
  readonly local: readonly string[];
}): string {
  const { published, present, local } = branches;
  // One branch of several may be somebody's work, and a fleet is not applied from that.
  const isOnly = local.every((name) => name === present);
  const branch = published === "" && (isOnly || present === "master") ? present : published;
  return BRANCH.test(branch) ? branch : DEFAULT_BRANCH;
}
