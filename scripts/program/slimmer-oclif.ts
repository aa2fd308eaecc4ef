import type { Plugin } from "rolldown";

/** What a file of oclif says, and what it says in the program. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const lazily = (name: string, member: string): string =>
  `{ ${member}: (...given) => require("${name}").${member}(...given) }`;

/*
 * Half of the start of a small command was oclif's: it loads what it needs for plugins, for a CLI without a manifest and for
 * templates, none of which is used here, and sorts names by the rules of a language. Each change keeps what it does; an
 * oclif in which the place is not found is refused by the build.
 */
const CHANGES: readonly Change[] = [
  {
    // Rules of a language are 6 ms to load; ids are lower-case ASCII.
    file: "config/plugin.js",
    from: ".sort((a, b) => a.id.localeCompare(b.id))",
    to: ".sort((a, b) => (a.id < b.id ? -1 : 1))",
  },
  {
    // For a folder of commands without a manifest.
    file: "config/plugin.js",
    from: 'const tinyglobby_1 = require("tinyglobby")',
    to: `const tinyglobby_1 = ${lazily("tinyglobby", "glob")}`,
  },
  {
    // For plugins.
    file: "config/plugin-loader.js",
    from: 'const minimatch_1 = require("minimatch")',
    to: `const minimatch_1 = ${lazily("minimatch", "minimatch")}`,
  },
  {
    // For a package.json without a section of oclif's.
    file: "util/read-pjson.js",
    from: 'const lilconfig_1 = require("lilconfig")',
    to: `const lilconfig_1 = ${lazily("lilconfig", "lilconfig")}`,
  },
  {
    // For the addresses of updates, which nobody asks for.
    file: "config/config.js",
    from: 'const ejs_1 = __importDefault(require("ejs"))',
    to: `const ejs_1 = { default: ${lazily("ejs", "render")} }`,
  },
  {
    file: "help/util.js",
    from: 'const ejs_1 = __importDefault(require("ejs"))',
    to: `const ejs_1 = { default: ${lazily("ejs", "render")} }`,
  },
  {
    // Each template is compiled by itself, and most texts are none, or have the program's name in them and nothing else.
    file: "help/util.js",
    from: "return ejs_1.default.render(t, context);",
    to: 'const text = String(t).replaceAll("<%= config.bin %>", () => context.config.bin);\n        return text.includes("<%") ? ejs_1.default.render(text, context) : text;',
  },
  {
    // The name of the platform decides about Windows alone.
    file: "util/os.js",
    from: "return (await import('wsl-utils')).isWsl ? 'wsl' : (0, node_os_1.platform)();",
    to: "return (0, node_os_1.platform)();",
  },
];

/** Leaves out of oclif what this program never uses, at the places of `CHANGES`. Throws where a place is not there. */
export function slimmerOclif(): Plugin {
  const left = new Set(CHANGES);
  return {
    name: "slimmer-oclif",
    transform: {
      filter: { id: /@oclif[/\\]core[/\\]lib/ },
      handler(code, id) {
        let changed = code;
        for (const change of CHANGES.filter(({ file }) =>
          id.replaceAll("\\", "/").endsWith(`/lib/${file}`),
        )) {
          if (!changed.includes(change.from)) continue;
          changed = changed.replace(change.from, () => change.to);
          left.delete(change);
        }
        return changed;
      },
    },
    generateBundle() {
      const [lost] = left;
      if (lost !== undefined) throw new Error(`oclif's ${lost.file} no longer has: ${lost.from}`);
    },
  };
}
