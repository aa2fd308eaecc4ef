import * as Flags from "@oclif/core/flags";

/* What a loop is told by whoever starts it, and by no commit: whom it believes, and whom it tells. */

export const reconcileFlags = {
  verify: Flags.option({
    options: ["none", "ssh", "gpg"] as const,
    summary: "whose signatures count; default: `verify` of [gitops] as this process is started",
  })(),
  signers: Flags.string({
    env: "CORTEX_SIGNERS",
    helpValue: "FILE",
    summary:
      "ssh: allowed signers as of ssh-keygen; gpg: public keys. A file of this machine, not of the repository",
  }),
  "webhook-secret-file": Flags.string({
    helpValue: "PATH",
    summary: "file with the secret that the git host shares (mode 600): GitHub, Gitea, Forgejo, GitLab",
  }),
  "commit-status": Flags.option({
    options: ["github", "gitea", "gitlab"] as const,
    dependsOn: ["commit-status-token-file"],
    summary: "show at the commit what became of it, by this host's API; gitea: Forgejo too",
  })(),
  "commit-status-token-file": Flags.string({
    env: "CORTEX_COMMIT_STATUS_TOKEN_FILE",
    helpValue: "PATH",
    dependsOn: ["commit-status"],
    summary: "file with the host's token that may write statuses (mode 600)",
  }),
  "commit-status-url": Flags.string({
    helpValue: "URL",
    dependsOn: ["commit-status"],
    summary: "base URL of the host's API; default: as the repository's own URL lets expect",
  }),
  "notify-webhook-file": Flags.string({
    env: "CORTEX_NOTIFY_WEBHOOK_FILE",
    helpValue: "PATH",
    summary: "file with a URL that is told each change of the conditions as JSON (mode 600)",
  }),
  "notify-secret-file": Flags.string({
    helpValue: "PATH",
    dependsOn: ["notify-webhook-file"],
    summary: "file with a secret that signs what is told there, in X-Cortex-Signature-256 (mode 600)",
  }),
  "notify-slack-file": Flags.string({
    env: "CORTEX_NOTIFY_SLACK_FILE",
    helpValue: "PATH",
    summary: "file with the URL of an incoming webhook of Slack or one like it, as Mattermost (mode 600)",
  }),
};
