/**
 * What must never be shown again although it stands in a file: findings are printed by CI jobs that anybody may read.
 * Each pattern matches the secret alone; what tells it apart stands around it.
 */
const TOKENS: readonly RegExp[] = [
  // A password in a URL.
  /(?<=[A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s/:@"']*:)[^\s/@"']+(?=@)/g,
  // The same where the scheme was forgotten.
  /(?<=(?:^|["'\s=,[])[A-Za-z0-9._-]+:)[^\s/@"':]+(?=@[A-Za-z0-9])/g,
  // Tokens of well-known forms.
  /\b(?:sk|hf|ghp|gho|ghs|glpat|github_pat|xox[bp])[-_][A-Za-z0-9_-]{8,}/g,
];

/** A key that ends like a secret's name (`admin_token`), up to its value. */
const NAMED = String.raw`(?:\b|[_-])(?:api)?(?:key|secret|token|password|passwd|bearer|hash)s?["']?\s*=\s*`;
const HASH = String.raw`(?!sha256:(?:[0-9a-f]{64}|\.\.\.)["'])`;

/** What is assigned to such a key, in each way to quote it, and each text of a list; a hash is no secret. */
const ASSIGNED: readonly RegExp[] = [
  String.raw`(?<=${NAMED}""")(?:(?!""").)+`,
  String.raw`(?<=${NAMED}''')(?:(?!''').)+`,
  String.raw`(?<=${NAMED}"(?!""))${HASH}[^"]+`,
  String.raw`(?<=${NAMED}'(?!''))${HASH}[^']+`,
  String.raw`(?<=${NAMED}\[[^\]]*["'])(?!\s*,)[^"'\]]+(?=["'])`,
].map((pattern) => new RegExp(pattern, "gi"));

const ALL = [...TOKENS, ...ASSIGNED];

export const hasSecret = (text: string): boolean => TOKENS.some((pattern) => text.search(pattern) !== -1);

/** The same text with every character of a secret as `*`, so that columns stay where they are. */
export const maskSecrets = (text: string): string =>
  ALL.reduce((shown, pattern) => shown.replaceAll(pattern, (secret) => "*".repeat(secret.length)), text);

/** What masking would hide in a line: what a message about it must not repeat either. */
export const secretsOf = (line: string): string[] => ALL.flatMap((pattern) => line.match(pattern) ?? []);
