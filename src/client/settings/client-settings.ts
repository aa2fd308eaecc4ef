import type { Setting, SettingsFile } from "./settings-change.ts";

export interface Endpoint {
  readonly baseUrl: string;
  readonly model: string;
  /** What the model can hold in tokens, where it is known. */
  readonly context: number | null;
  /** The file with the key; null where the gateway asks for none. */
  readonly keyFile: string | null;
}

type SpokenDialect = "openai" | "anthropic" | "responses" | "ollama";

interface ClientSettings {
  /** What the client speaks. */
  readonly dialect: SpokenDialect;
  /** What is written with consent; null for a client without a file that could be. */
  readonly file: SettingsFile | null;
  /** Lines of a shell: variables that are needed, and how it is started. */
  readonly shell: readonly string[];
  /** What else is to be known. */
  readonly notes: readonly string[];
}

/** Stands where a client insists on a key: a gateway without keys takes any. */
const NO_KEY = "none";

/** A text in single quotes of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** The key is read when it is used: no setting holds it. */
const keyText = ({ keyFile }: Endpoint): string =>
  keyFile === null ? quoted(NO_KEY) : `"$(cat ${quoted(keyFile)})"`;

const exported = (name: string, text: string): string => `export ${name}=${text}`;

const set = (path: string, value: unknown): Setting => ({ kind: "set", path: path.split("/"), value });

const forget = (path: string, value: unknown): Setting => ({ kind: "forget", path: path.split("/"), value });

const given = (isGiven: boolean, setting: Setting): readonly Setting[] => (isGiven ? [setting] : []);

const KEY_VARIABLE = "CORTEX_KEY";

/** Anthropic's agents ask small questions of a second model; here that is the same one. */
function claudeCode(endpoint: Endpoint): ClientSettings {
  const { baseUrl, model, context, keyFile } = endpoint;
  return {
    dialect: "anthropic",
    file: {
      path: ".claude/settings.json",
      format: "json",
      settings: [
        set("env/ANTHROPIC_BASE_URL", baseUrl),
        set("env/ANTHROPIC_MODEL", model),
        set("env/ANTHROPIC_DEFAULT_HAIKU_MODEL", model),
        // Else it takes a model that it does not know for one with a window of a million tokens.
        ...given(context !== null, set("env/CLAUDE_CODE_MAX_CONTEXT_TOKENS", String(context))),
        ...(keyFile === null
          ? [set("env/ANTHROPIC_AUTH_TOKEN", NO_KEY)]
          : [
              // It would come before the helper.
              forget("env/ANTHROPIC_AUTH_TOKEN", NO_KEY),
              set("apiKeyHelper", `cat ${quoted(keyFile)}`),
            ]),
      ],
    },
    shell: ["claude"],
    notes:
      keyFile === null
        ? []
        : ["the key is not written: `apiKeyHelper` reads its file each time it is needed"],
  };
}

function codex(endpoint: Endpoint): ClientSettings {
  const { baseUrl, model, context, keyFile } = endpoint;
  return {
    dialect: "responses",
    file: {
      path: ".codex/config.toml",
      format: "toml",
      settings: [
        set("model", model),
        set("model_provider", "cortex"),
        ...given(context !== null, set("model_context_window", context)),
        set("model_providers/cortex", {
          name: "cortex",
          base_url: `${baseUrl}/v1`,
          wire_api: "responses",
          ...(keyFile === null ? {} : { env_key: KEY_VARIABLE }),
        }),
      ],
    },
    shell: [...(keyFile === null ? [] : [exported(KEY_VARIABLE, keyText(endpoint))]), "codex"],
    notes: [
      "a first request holds about 10,000 tokens of prompt and tools: the model needs room beside them",
    ],
  };
}

function opencode({ baseUrl, model, context, keyFile }: Endpoint): ClientSettings {
  return {
    dialect: "openai",
    file: {
      path: ".config/opencode/opencode.json",
      format: "json",
      settings: [
        { kind: "default", path: ["$schema"], value: "https://opencode.ai/config.json" },
        set("provider/cortex", {
          npm: "@ai-sdk/openai-compatible",
          name: "cortex",
          options: { baseURL: `${baseUrl}/v1`, apiKey: keyFile === null ? NO_KEY : `{file:${keyFile}}` },
          models: {
            [model]: {
              name: model,
              ...(context === null
                ? {}
                : { limit: { context, output: Math.min(4096, Math.floor(context / 4)) } }),
            },
          },
        }),
        set("model", `cortex/${model}`),
        set("small_model", `cortex/${model}`),
      ],
    },
    shell: ["opencode"],
    notes: keyFile === null ? [] : ["the key is not written: opencode reads its file"],
  };
}

function qwenCode(endpoint: Endpoint): ClientSettings {
  const { baseUrl, model, context, keyFile } = endpoint;
  return {
    dialect: "openai",
    file: {
      path: ".qwen/settings.json",
      format: "json",
      settings: [
        {
          kind: "element",
          path: ["modelProviders", "openai"],
          by: "id",
          value: {
            id: model,
            name: model,
            baseUrl: `${baseUrl}/v1`,
            envKey: KEY_VARIABLE,
            ...(context === null ? {} : { generationConfig: { contextWindowSize: context } }),
          },
        },
        keyFile === null ? set(`env/${KEY_VARIABLE}`, NO_KEY) : forget(`env/${KEY_VARIABLE}`, NO_KEY),
        set("security/auth/selectedType", "openai"),
        set("model/name", model),
      ],
    },
    shell: [...(keyFile === null ? [] : [exported(KEY_VARIABLE, keyText(endpoint))]), "qwen"],
    notes: [],
  };
}

function aider(endpoint: Endpoint): ClientSettings {
  const { baseUrl, model, keyFile } = endpoint;
  return {
    dialect: "openai",
    file: {
      path: ".aider.conf.yml",
      format: "yaml",
      settings: [
        set("model", `openai/${model}`),
        set("openai-api-base", `${baseUrl}/v1`),
        keyFile === null ? set("openai-api-key", NO_KEY) : forget("openai-api-key", NO_KEY),
      ],
    },
    shell: [...(keyFile === null ? [] : [exported("OPENAI_API_KEY", keyText(endpoint))]), "aider"],
    notes: [],
  };
}

function continueClient({ baseUrl, model, context, keyFile }: Endpoint): ClientSettings {
  return {
    dialect: "openai",
    file: {
      path: ".continue/config.yaml",
      format: "yaml",
      settings: [
        { kind: "default", path: ["name"], value: "cortex" },
        { kind: "default", path: ["version"], value: "0.0.1" },
        { kind: "default", path: ["schema"], value: "v1" },
        {
          kind: "element",
          path: ["models"],
          by: "name",
          value: {
            name: "cortex",
            provider: "openai",
            model,
            apiBase: `${baseUrl}/v1`,
            apiKey: keyFile === null ? NO_KEY : `\${{ secrets.${KEY_VARIABLE} }}`,
            roles: ["chat", "edit", "apply"],
            capabilities: ["tool_use"],
            ...(context === null ? {} : { defaultCompletionOptions: { contextLength: context } }),
          },
        },
      ],
    },
    shell: ["cn"],
    notes:
      keyFile === null
        ? []
        : [
            `the key is not written: put ${KEY_VARIABLE}=<key> into ~/.continue/.env, which is yours alone (chmod 600)`,
          ],
  };
}

function zed(endpoint: Endpoint): ClientSettings {
  const { baseUrl, model, context } = endpoint;
  return {
    dialect: "openai",
    file: {
      path: ".config/zed/settings.json",
      format: "json",
      settings: [
        set("language_models/openai_compatible/cortex", {
          api_url: `${baseUrl}/v1`,
          available_models: [
            {
              name: model,
              display_name: model,
              max_tokens: context ?? 32_768,
              capabilities: {
                tools: true,
                images: false,
                parallel_tool_calls: true,
                prompt_cache_key: false,
              },
            },
          ],
        }),
        set("agent/default_model", { provider: "cortex", model }),
      ],
    },
    shell: [exported("CORTEX_API_KEY", keyText(endpoint)), "zed"],
    notes: [
      "Zed takes the key from CORTEX_API_KEY, or from its settings of language models, which keep it in the keychain",
      ...(context === null ? ["`max_tokens` is a guess: name what the model can hold with --context"] : []),
    ],
  };
}

function pi({ baseUrl, model, context, keyFile }: Endpoint): ClientSettings {
  return {
    dialect: "openai",
    file: {
      path: ".pi/agent/models.json",
      format: "json",
      settings: [
        set("providers/cortex", {
          baseUrl: `${baseUrl}/v1`,
          api: "openai-completions",
          apiKey: keyFile === null ? NO_KEY : `!cat ${quoted(keyFile)}`,
          models: [
            {
              id: model,
              name: model,
              reasoning: false,
              input: ["text"],
              contextWindow: context ?? 32_768,
              maxTokens: Math.min(4096, Math.floor((context ?? 32_768) / 4)),
              cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
            },
          ],
        }),
      ],
    },
    shell: [`pi --provider cortex --model ${quoted(model)}`],
    notes: keyFile === null ? [] : ["the key is not written: pi reads its file"],
  };
}

const cline = (endpoint: Endpoint): ClientSettings => ({
  dialect: "openai",
  file: null,
  shell: [
    `cline auth -p openai-compatible -k ${keyText(endpoint)} -m ${quoted(endpoint.model)} -b ${quoted(`${endpoint.baseUrl}/v1`)}`,
    `cline -P openai-compatible -m ${quoted(endpoint.model)}`,
  ],
  notes: [
    ...(endpoint.keyFile === null ? [] : ["`cline auth` keeps the key in Cline's own files"]),
    "in the editor: settings, API provider `OpenAI Compatible`, the same base URL and model",
  ],
});

const shellOnly =
  (dialect: SpokenDialect, lines: (endpoint: Endpoint) => readonly string[], notes: readonly string[] = []) =>
  (endpoint: Endpoint): ClientSettings => ({ dialect, file: null, shell: lines(endpoint), notes });

/** What makes each client use an endpoint. docs/clients.md says which were tried, and in which version. */
export const CLIENTS = {
  "claude-code": claudeCode,
  codex,
  opencode,
  "qwen-code": qwenCode,
  aider,
  continue: continueClient,
  cline,
  zed,
  pi,
  "open-webui": shellOnly(
    "openai",
    (endpoint) => [
      exported("OPENAI_API_BASE_URLS", quoted(`${endpoint.baseUrl}/v1`)),
      exported("OPENAI_API_KEYS", keyText(endpoint)),
      exported("DEFAULT_MODELS", quoted(endpoint.model)),
      "open-webui serve",
    ],
    ["Open WebUI reads these at its first start; later its admin settings (Connections) hold them"],
  ),
  ollama: shellOnly(
    "ollama",
    ({ baseUrl, model }) => [
      exported("OLLAMA_HOST", quoted(baseUrl)),
      `# and name the model ${quoted(model)}`,
    ],
    [
      "clients of Ollama send no key of their own: where the gateway asks for one, they need an Authorization header",
    ],
  ),
  "openai-sdk": shellOnly("openai", (endpoint) => [
    exported("OPENAI_BASE_URL", quoted(`${endpoint.baseUrl}/v1`)),
    exported("OPENAI_API_KEY", keyText(endpoint)),
    `# new OpenAI() and OpenAI() read both; name the model ${quoted(endpoint.model)}`,
  ]),
  "anthropic-sdk": shellOnly("anthropic", (endpoint) => [
    exported("ANTHROPIC_BASE_URL", quoted(endpoint.baseUrl)),
    exported("ANTHROPIC_API_KEY", keyText(endpoint)),
    `# new Anthropic() and Anthropic() read both; name the model ${quoted(endpoint.model)}`,
  ]),
} as const satisfies Readonly<Record<string, (endpoint: Endpoint) => ClientSettings>>;

type ClientName = keyof typeof CLIENTS;

export const CLIENT_NAMES = Object.keys(CLIENTS) as readonly ClientName[];

export const isClientName = (name: string): name is ClientName => Object.hasOwn(CLIENTS, name);

export const clientSettings = (client: ClientName, endpoint: Endpoint): ClientSettings =>
  CLIENTS[client](endpoint);
