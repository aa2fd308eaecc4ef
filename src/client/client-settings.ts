export interface Endpoint {
  readonly baseUrl: string;
  readonly model: string;
}

interface ClientSettings {
  /** Where the text belongs; null for lines of a shell. */
  readonly file: string | null;
  readonly text: string;
}

/** Stands where a key belongs: a gateway without keys takes any. */
const KEY = "none";

const exported = (variables: Readonly<Record<string, string>>): string =>
  Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value}'`)
    .join("\n");

const shell = (variables: Readonly<Record<string, string>>, start: string): ClientSettings => ({
  file: null,
  text: `${exported(variables)}\n${start}`,
});

/** What makes each client use an endpoint, as recorded from running it; `ollama` stands for whatever reads OLLAMA_HOST. */
const SETTINGS = {
  "claude-code": ({ baseUrl, model }) =>
    shell(
      {
        ANTHROPIC_BASE_URL: baseUrl,
        ANTHROPIC_AUTH_TOKEN: KEY,
        ANTHROPIC_MODEL: model,
        ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      },
      "claude",
    ),
  codex: ({ baseUrl, model }) => ({
    file: "~/.codex/config.toml",
    text: `model = "${model}"
model_provider = "cortex"

[model_providers.cortex]
name = "cortex"
base_url = "${baseUrl}/v1"
env_key = "CORTEX_KEY"   # export CORTEX_KEY='${KEY}'
wire_api = "responses"`,
  }),
  opencode: ({ baseUrl, model }) => ({
    file: "opencode.json",
    text: JSON.stringify(
      {
        $schema: "https://opencode.ai/config.json",
        provider: {
          cortex: {
            npm: "@ai-sdk/openai-compatible",
            name: "cortex",
            options: { baseURL: `${baseUrl}/v1`, apiKey: KEY },
            models: { [model]: { name: model } },
          },
        },
        model: `cortex/${model}`,
        small_model: `cortex/${model}`,
      },
      undefined,
      2,
    ),
  }),
  "qwen-code": ({ baseUrl, model }) =>
    shell(
      { OPENAI_BASE_URL: `${baseUrl}/v1`, OPENAI_API_KEY: KEY, OPENAI_MODEL: model },
      "qwen --auth-type openai",
    ),
  aider: ({ baseUrl, model }) =>
    shell({ OPENAI_API_BASE: `${baseUrl}/v1`, OPENAI_API_KEY: KEY }, `aider --model 'openai/${model}'`),
  continue: ({ baseUrl, model }) => ({
    file: "~/.continue/config.yaml",
    text: `name: cortex
version: 0.0.1
schema: v1
models:
  - name: cortex
    provider: openai
    model: ${JSON.stringify(model)}
    apiBase: ${baseUrl}/v1
    apiKey: ${KEY}
    roles: [chat, edit, apply]
    capabilities: [tool_use]`,
  }),
  ollama: ({ baseUrl, model }) => shell({ OLLAMA_HOST: baseUrl }, `# and name the model '${model}'`),
} as const satisfies Readonly<Record<string, (endpoint: Endpoint) => ClientSettings>>;

type ClientName = keyof typeof SETTINGS;

export const CLIENT_NAMES = Object.keys(SETTINGS) as readonly ClientName[];

export const isClientName = (name: string): name is ClientName => Object.hasOwn(SETTINGS, name);

export const clientSettings = (client: ClientName, endpoint: Endpoint): ClientSettings =>
  SETTINGS[client](endpoint);
