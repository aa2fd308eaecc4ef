import type { Plugin } from "rolldown";

/** What a file of a package says, and what it says in the program. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const lazily = (name: string, member: string): string =>
  `{ ${member}: (...given) => require("${name}").${member}(...given) }`;

/*
 * What packages load at their start and this program does not use, and where they wait for nothing. Half of the start of a small command was oclif's: for plugins, for
 * a CLI without a manifest, for templates, and to sort names by the rules of a language. Each change keeps what it does; a
 * package in which the place is not found is refused by the build.
 */
const CHANGES: readonly Change[] = [
  {
    // Rules of a language are 6 ms to load; ids are lower-case ASCII.
    file: "@oclif/core/lib/config/plugin.js",
    from: ".sort((a, b) => a.id.localeCompare(b.id))",
    to: ".sort((a, b) => (a.id < b.id ? -1 : 1))",
  },
  {
    // For a folder of commands without a manifest.
    file: "@oclif/core/lib/config/plugin.js",
    from: 'const tinyglobby_1 = require("tinyglobby")',
    to: `const tinyglobby_1 = ${lazily("tinyglobby", "glob")}`,
  },
  {
    // For plugins.
    file: "@oclif/core/lib/config/plugin-loader.js",
    from: 'const minimatch_1 = require("minimatch")',
    to: `const minimatch_1 = ${lazily("minimatch", "minimatch")}`,
  },
  {
    // For a package.json without a section of oclif's.
    file: "@oclif/core/lib/util/read-pjson.js",
    from: 'const lilconfig_1 = require("lilconfig")',
    to: `const lilconfig_1 = ${lazily("lilconfig", "lilconfig")}`,
  },
  {
    // For the addresses of updates, which nobody asks for.
    file: "@oclif/core/lib/config/config.js",
    from: 'const ejs_1 = __importDefault(require("ejs"))',
    to: `const ejs_1 = { default: ${lazily("ejs", "render")} }`,
  },
  {
    file: "@oclif/core/lib/help/util.js",
    from: 'const ejs_1 = __importDefault(require("ejs"))',
    to: `const ejs_1 = { default: ${lazily("ejs", "render")} }`,
  },
  {
    // Each template is compiled by itself, and most texts are none, or have the program's name in them and nothing else.
    file: "@oclif/core/lib/help/util.js",
    from: "return ejs_1.default.render(t, context);",
    to: 'const text = String(t).replaceAll("<%= config.bin %>", () => context.config.bin);\n        return text.includes("<%") ? ejs_1.default.render(text, context) : text;',
  },
  {
    // The name of the platform decides about Windows alone.
    file: "@oclif/core/lib/util/os.js",
    from: "return (await import('wsl-utils')).isWsl ? 'wsl' : (0, node_os_1.platform)();",
    to: "return (0, node_os_1.platform)();",
  },
  {
    // Says something where DEBUG asks for it.
    file: "@oclif/core/lib/logger.js",
    from: 'const debug_1 = __importDefault(require("debug"))',
    to: 'const debug_1 = process.env.DEBUG ? __importDefault(require("debug")) : { default: () => () => undefined }',
  },
  {
    // Servers here have no schemas, and bring compilers of their own that say so (`src/platform/http-server.ts`).
    file: "fastify/lib/schema-controller.js",
    from: "const ValidatorSelector = require('@fastify/ajv-compiler')",
    to: "const ValidatorSelector = () => { throw new Error('built without compilers of schemas') }",
  },
  {
    file: "fastify/lib/schema-controller.js",
    from: "const SerializerSelector = require('@fastify/fast-json-stringify-compiler')",
    to: "const SerializerSelector = () => { throw new Error('built without compilers of schemas') }",
  },
  {
    // For requests that are made up in tests.
    file: "fastify/fastify.js",
    from: "lightMyRequest = require('light-my-request')",
    to: "throw new Error('built without inject')",
  },
  {
    // No server here speaks HTTP/2.
    file: "fastify/lib/server.js",
    from: "const http2 = require('node:http2')",
    to: "const http2 = { createServer: refused, createSecureServer: refused };\nfunction refused() { throw new Error('built without HTTP/2') }",
  },
  {
    // Nobody here speaks HTTP/2 but undici, to whom a server offers it.
    file: "undici/lib/dispatcher/client.js",
    from: "const connectH2 = require('./client-h2.js')",
    to: "const connectH2 = (...given) => require('./client-h2.js')(...given)",
  },
  {
    // After a git that has nothing to say it waits 50 ms for words that may still come: not once its streams are closed.
    file: "simple-git/dist/index.mjs",
    from: 'o.on("close", (w) => a.close(w))',
    to: 'o.on("close", (w) => (y(), a.close(w)))',
  },
];

/** Leaves out of packages what this program never uses, at the places of `CHANGES`. Throws where a place is not there. */
export function slimmerPackages(): Plugin {
  const left = new Set(CHANGES);
  return {
    name: "slimmer-packages",
    transform: {
      filter: { id: /node_modules[/\\](?:@oclif[/\\]core|fastify|undici|simple-git)[/\\]/ },
      handler(code, id) {
        const path = id.replaceAll("\\", "/");
        let changed = code;
        for (const change of CHANGES.filter(({ file }) => path.endsWith(`/node_modules/${file}`))) {
          if (!changed.includes(change.from)) continue;
          changed = changed.replace(change.from, () => change.to);
          left.delete(change);
        }
        return changed;
      },
    },
    generateBundle() {
      const [lost] = left;
      if (lost !== undefined) throw new Error(`${lost.file} no longer has: ${lost.from}`);
    },
  };
}
