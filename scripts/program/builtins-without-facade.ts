import { builtinModules } from "node:module";
import type { Plugin } from "rolldown";

const PREFIX = "\0builtin:";
const BUILTINS = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));

/**
 * Node's own modules by a function instead of an `import`: an import reads every property that the module has, and so
 * loads what hides behind the lazy ones (all of web crypto for one hash), a sixth of the start of a small command.
 */
export function builtinsWithoutFacade(): Plugin {
  return {
    name: "builtins-without-facade",
    resolveId: {
      order: "pre",
      handler(source, importer) {
        const isOwn = importer?.startsWith("\0rolldown") === true;
        return BUILTINS.has(source) && !isOwn ? `${PREFIX}${source}.cjs` : null;
      },
    },
    load: {
      filter: { id: /^\0builtin:/ },
      handler(id) {
        const name = id.slice(PREFIX.length, -".cjs".length);
        return {
          code: `module.exports = process.getBuiltinModule(${JSON.stringify(name)});`,
          moduleType: "js",
        };
      },
    },
  };
}
