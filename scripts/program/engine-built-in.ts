import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "rolldown";

/** Whoever installs the engine has it there; its JavaScript is in the program already. */
const AT_HOME = 'import.meta.resolve("node-llama-cpp")';
const HOME = dirname(fileURLToPath(import.meta.resolve("node-llama-cpp")));
const HEADER = "src/worker/engine/io/llama-header.ts";
const BY_PLACE = "await import(parser.href)";

/** Of the binary packages, which lie beside the engine or in it, wherever the program is. */
const BESIDE = `
import { createRequire as __requireBeside } from "node:module";
import { pathToFileURL as __urlOf } from "node:url";
const __importBeside = (name) => import(__urlOf(__requireBeside(${AT_HOME}).resolve(name)).href);
`;

/**
 * The engine's JavaScript becomes part of the program: 540 files that every worker read, two thirds of its start, most of
 * them for building llama.cpp and for downloads. Its binaries stay in the engine's packages, and so does all that it looks for
 * where it lies. Throws where a place that is changed is not there.
 */
export function engineBuiltIn(): Plugin {
  const left = new Set([HEADER, "@node-llama-cpp/"]);
  return {
    name: "engine-built-in",
    transform: {
      filter: { id: [/node_modules[/\\]node-llama-cpp[/\\]dist/, /llama-header\.ts$/] },
      handler(code, id) {
        if (id.endsWith("llama-header.ts")) {
          if (!code.includes(BY_PLACE)) return null;
          left.delete(HEADER);
          const parser = join(HOME, "gguf/parser/GgufV2Parser.js");
          return code.replace(BY_PLACE, () => `await import(${JSON.stringify(parser)})`);
        }
        const place = JSON.stringify(relative(HOME, id).replaceAll("\\", "/"));
        const at = code.replaceAll("import.meta.url", `new URL(${place}, ${AT_HOME}).href`);
        if (!at.includes('import("@node-llama-cpp/')) return at;
        left.delete("@node-llama-cpp/");
        return BESIDE + at.replaceAll('import("@node-llama-cpp/', '__importBeside("@node-llama-cpp/');
      },
    },
    generateBundle() {
      const [lost] = left;
      if (lost !== undefined) throw new Error(`the engine no longer has what is changed in it: ${lost}`);
    },
  };
}
