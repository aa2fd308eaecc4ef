// Keeps one comment with the plan on a pull request: makes it, or changes the one it made before.
// Runs in CI of GitHub, Forgejo, Gitea and GitLab with nothing but Node: node .cortex/ci/comment.mjs plan.md
//
// CORTEX_CI_TOKEN may write comments. Where it may not (a fork, no token), the plan goes to the log and the job goes on:
// a comment that cannot be written must not look like a plan that failed.

import { appendFileSync, existsSync, readFileSync } from "node:fs";

/** Tells this fleet's comment from all others. A plan brings its own; this one is for when there is no plan. */
const OWN_MARKER = "<!-- cortex-plan:@fleet@ -->";
const LONGEST_BODY = 60_000;
const PAGE = 100;
const MOST_PAGES = 50;
const ANSWER_TIMEOUT_MS = 30_000;
/** How hosts call the account of a job's own token, which may not ask who it is. */
const JOB_ACCOUNT = /\[bot\]$|^(?:github|gitea|forgejo)-actions$/;

const environment = process.env;
const planFile = process.argv[2] ?? "plan.md";

function planText() {
  const text = existsSync(planFile) ? readFileSync(planFile, "utf8").trim() : "";
  if (text !== "") return text;
  return "### cortex plan: none\n\nThe plan could not be made; the job's log says why.";
}

function commentBody() {
  const text = planText();
  const marker = /<!-- cortex-plan:[^\s>]+ -->/.exec(text)?.[0];
  const marked = marker === undefined ? `${OWN_MARKER}\n${text}` : text;
  return { marker: marker ?? OWN_MARKER, body: shortened(marked) };
}

function shortened(text) {
  if (text.length <= LONGEST_BODY) return text;
  const cut = text.slice(0, LONGEST_BODY);
  return `${cut.slice(0, cut.lastIndexOf("\n"))}\n\n... the rest is in the job's log.`;
}

/** Where comments of this pull request live, or a reason why there is none. */
function pullRequest() {
  const token = environment.CORTEX_CI_TOKEN ?? "";
  if (token === "") return { problem: "CORTEX_CI_TOKEN is not set" };
  return environment.GITLAB_CI === undefined ? actionsPullRequest(token) : gitlabMergeRequest(token);
}

function actionsPullRequest(token) {
  const eventPath = environment.GITHUB_EVENT_PATH ?? "";
  const event = existsSync(eventPath) ? JSON.parse(readFileSync(eventPath, "utf8")) : {};
  const number = event.pull_request?.number ?? event.number;
  if (number === undefined) return { problem: "this is no pull request" };
  const repository = `${environment.GITHUB_API_URL}/repos/${environment.GITHUB_REPOSITORY}`;
  return {
    headers: { authorization: `token ${token}`, accept: "application/json" },
    self: `${environment.GITHUB_API_URL}/user`,
    comments: `${repository}/issues/${number}/comments`,
    comment: (id) => `${repository}/issues/comments/${id}`,
    changeMethod: "PATCH",
  };
}

function gitlabMergeRequest(token) {
  const number = environment.CI_MERGE_REQUEST_IID ?? "";
  if (number === "") return { problem: "this is no merge request" };
  // A merge request belongs to the project that it goes to, wherever its job runs.
  const project = environment.CI_MERGE_REQUEST_PROJECT_ID ?? environment.CI_PROJECT_ID;
  const notes = `${environment.CI_API_V4_URL}/projects/${project}/merge_requests/${number}/notes`;
  return {
    headers: { "private-token": token },
    self: `${environment.CI_API_V4_URL}/user`,
    comments: notes,
    comment: (id) => `${notes}/${id}`,
    changeMethod: "PUT",
  };
}

async function call(target, method, url, body) {
  const response = await fetch(url, {
    method,
    headers: { ...target.headers, "content-type": "application/json", "user-agent": "cortex" },
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify({ body }) }),
  });
  const answer = response.ok ? await response.json() : await response.text();
  return { ok: response.ok, status: response.status, answer };
}

const accountOf = (comment) => comment.user?.login ?? comment.author?.username ?? "";

/**
 * Tells our comments from those of people who wrote the marker into theirs: a plan in a comment that somebody else
 * may edit is no plan.
 */
async function ownComments(target) {
  const { ok, answer } = await call(target, "GET", target.self);
  const self = ok ? (answer.login ?? answer.username) : undefined;
  return (comment) => (self === undefined ? JOB_ACCOUNT.test(accountOf(comment)) : accountOf(comment) === self);
}

/** Our comment that carries the marker; null when there is none. */
async function findComment(target, marker) {
  const isOurs = await ownComments(target);
  const seen = new Set();
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const url = `${target.comments}?per_page=${PAGE}&limit=${PAGE}&page=${page}`;
    const { ok, status, answer } = await call(target, "GET", url);
    if (!ok) throw new Error(`the host answers ${status} when asked for comments`);
    const found = answer.find((comment) => comment.body?.includes(marker) && isOurs(comment));
    if (found !== undefined) return found;
    // Hosts have pages of their own length, and some have none and send everything again.
    if (answer.length === 0 || seen.has(answer[0].id)) return null;
    seen.add(answer[0].id);
  }
  return null;
}

async function writeComment(target, { marker, body }) {
  const existing = await findComment(target, marker);
  if (existing?.body === body) return "is up to date";
  if (existing !== null) {
    const changed = await call(target, target.changeMethod, target.comment(existing.id), body);
    if (changed.ok) return "was updated";
    // Somebody took it away meanwhile.
    if (changed.status !== 404) throw new Error(`the host answers ${changed.status}`);
  }
  const made = await call(target, "POST", target.comments, body);
  if (!made.ok) throw new Error(`the host answers ${made.status}`);
  return "was made";
}

const comment = commentBody();
if (environment.GITHUB_STEP_SUMMARY) appendFileSync(environment.GITHUB_STEP_SUMMARY, `${comment.body}\n`);
const target = pullRequest();
try {
  if (target.problem !== undefined) throw new Error(target.problem);
  console.log(`The plan's comment ${await writeComment(target, comment)}.`);
} catch (thrown) {
  console.log(`No comment was written: ${thrown.message}. The plan:\n\n${comment.body}`);
}
