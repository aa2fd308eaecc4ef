/** Agents that are driven without an account, each in one version. */
export interface Agent {
  readonly package: { readonly from: "npm" | "pypi"; readonly name: string; readonly version: string };
  /** Further packages that are installed beside it. */
  readonly besides?: readonly string[];
  readonly dialect: "openai" | "anthropic" | "responses" | "ollama";
  /** What `cortex connect` calls it: it writes the settings that are tried. */
  readonly connects: string | null;
  readonly binary: string;
  /** Run before the session, in the same surroundings. */
  readonly prepare?: (session: AgentSession) => readonly (readonly string[])[];
  readonly commandLine: (session: AgentSession) => readonly string[];
  readonly environment?: (session: AgentSession) => Readonly<Record<string, string>>;
  readonly files?: (session: AgentSession) => Readonly<Record<string, string>>;
  /**
   * The window of the demo model for it, where it never ends with the model's own: it shortens the conversation and asks
   * again, though its own prompt alone is longer.
   */
  readonly demoContext?: number;
  /** It changes a file by what the model writes, not by tools. */
  readonly writesFiles?: true;
  /** Tools are not files: what the final answer has to hold is the version of the agent itself. */
  readonly answersWith?: string;
}

export interface AgentSession {
  readonly gatewayUrl: string;
  readonly model: string;
  readonly home: string;
  readonly directory: string;
  readonly prompt: string;
}

const npm = (name: string, version: string) => ({ from: "npm", name, version }) as const;
const pypi = (name: string, version: string) => ({ from: "pypi", name, version }) as const;

export const AGENTS: Readonly<Record<string, Agent>> = {
  "claude-code": {
    package: npm("@anthropic-ai/claude-code", "2.1.332"),
    dialect: "anthropic",
    connects: "claude-code",
    binary: "claude",
    commandLine: ({ prompt }) => ["-p", prompt, "--dangerously-skip-permissions"],
    environment: () => ({
      DISABLE_AUTOUPDATER: "1",
      IS_SANDBOX: "1",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    }),
  },
  codex: {
    package: npm("@openai/codex", "0.169.0"),
    dialect: "responses",
    connects: "codex",
    binary: "codex",
    commandLine: ({ prompt }) => [
      "exec",
      "--skip-git-repo-check",
      "--dangerously-bypass-approvals-and-sandbox",
      prompt,
    ],
  },
  opencode: {
    package: npm("opencode-ai", "1.18.33"),
    dialect: "openai",
    connects: "opencode",
    binary: "opencode",
    // Its prompt and tools take 10,700 tokens of the demo model.
    demoContext: 16_384,
    commandLine: ({ prompt }) => ["run", prompt],
    environment: () => ({
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    }),
  },
  "qwen-code": {
    package: npm("@qwen-code/qwen-code", "0.24.4"),
    dialect: "openai",
    connects: "qwen-code",
    binary: "qwen",
    commandLine: ({ prompt }) => ["--yolo", "-p", prompt],
  },
  cline: {
    package: npm("cline", "3.0.65"),
    dialect: "openai",
    connects: null,
    binary: "cline",
    prepare: ({ gatewayUrl, model }) => [
      ["auth", "-p", "openai-compatible", "-k", "none", "-m", model, "-b", `${gatewayUrl}/v1`],
    ],
    commandLine: ({ model, prompt }) => ["-P", "openai-compatible", "-m", model, prompt],
    environment: () => ({ CLINE_TELEMETRY_DISABLED: "1" }),
  },
  continue: {
    package: npm("@continuedev/cli", "1.5.47"),
    dialect: "openai",
    connects: "continue",
    binary: "cn",
    // With 2,048 it leaves the question out to make room, and asks without one until it is ended.
    demoContext: 16_384,
    commandLine: ({ prompt, home }) => ["-p", "--auto", "--config", `${home}/.continue/config.yaml`, prompt],
    environment: () => ({ CONTINUE_TELEMETRY_ENABLED: "0", CONTINUE_ALLOW_ANONYMOUS_TELEMETRY: "0" }),
  },
  pi: {
    package: npm("@earendil-works/pi-coding-agent", "1.5.2"),
    dialect: "openai",
    connects: "pi",
    binary: "pi",
    commandLine: ({ model, prompt }) => [
      "--offline",
      "--provider",
      "cortex",
      "--model",
      model,
      "--no-session",
      "-p",
      prompt,
    ],
    environment: () => ({ PI_OFFLINE: "1" }),
  },
  aider: {
    package: pypi("aider-chat", "0.86.2"),
    dialect: "openai",
    connects: "aider",
    binary: "aider",
    writesFiles: true,
    commandLine: ({ prompt }) => [
      "--no-analytics",
      "--no-check-update",
      "--no-show-release-notes",
      "--no-show-model-warnings",
      "--yes-always",
      "--no-auto-commits",
      "--no-pretty",
      "--map-tokens",
      "0",
      "--message",
      prompt,
      "hello.txt",
    ],
  },
  llm: {
    package: pypi("llm", "0.36"),
    dialect: "openai",
    connects: null,
    binary: "llm",
    answersWith: "0.36",
    commandLine: () => [
      "-m",
      "cortex",
      "-T",
      "llm_version",
      "-T",
      "llm_time",
      "Which version of llm is this?",
    ],
    environment: ({ home }) => ({ LLM_USER_PATH: `${home}/llm` }),
    files: ({ gatewayUrl, model }) => ({
      "llm/extra-openai-models.yaml": `- model_id: cortex
  model_name: ${model}
  api_base: "${gatewayUrl}/v1"
  api_key_name: cortex
  supports_tools: true
`,
      "llm/keys.json": '{"cortex": "none"}',
    }),
  },
  "llm-ollama": {
    package: pypi("llm", "0.36"),
    besides: ["llm-ollama==0.19.1"],
    dialect: "ollama",
    connects: null,
    binary: "llm",
    answersWith: "0.36",
    commandLine: ({ model }) => [
      "-m",
      `ollama/${model}`,
      "-T",
      "llm_version",
      "-T",
      "llm_time",
      "Which version of llm is this?",
    ],
    environment: ({ home, gatewayUrl }) => ({ LLM_USER_PATH: `${home}/llm`, OLLAMA_HOST: gatewayUrl }),
  },
};
