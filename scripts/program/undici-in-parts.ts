import type { Plugin } from "rolldown";

/** What is used of undici here, and where it is in it. */
const PARTS = {
  Agent: "./lib/dispatcher/agent",
  Client: "./lib/dispatcher/client",
  Dispatcher: "./lib/dispatcher/dispatcher",
  Pool: "./lib/dispatcher/pool",
  buildConnector: "./lib/core/connect",
  errors: "./lib/core/errors",
} as const;
const CALLS = ["request", "stream"] as const;
const OFFERED = new Set<string>([...Object.keys(PARTS), ...CALLS]);

const FRONT_DOOR = /node_modules[/\\]undici[/\\]index\.js$/;
const MAKER = "function makeDispatcher (fn) {";
const MAKER_END = "\n}\n";

/**
 * undici without its own fetch, caches, mocks, proxies and WebSockets: its front door loads all of them. A name that is not
 * offered is refused by the build.
 */
export function undiciInParts(): Plugin {
  return {
    name: "undici-in-parts",
    transform: {
      filter: { id: [FRONT_DOOR, /\.tsx?$/] },
      handler(code, id) {
        if (FRONT_DOOR.test(id)) return frontDoor(code);
        refuseOthers(code, id);
        return null;
      },
    },
  };
}

function frontDoor(code: string): string {
  const begin = code.indexOf(MAKER);
  const end = code.indexOf(MAKER_END, begin);
  if (begin < 0 || end < 0) throw new Error(`undici no longer has: ${MAKER}`);
  const parts = Object.entries(PARTS).map(([name, path]) => `const ${name} = require("${path}");\n`);
  const calls = CALLS.map((name) => `${name}: makeDispatcher(api.${name})`);
  return `${parts.join("")}
const api = require("./lib/api");
const util = require("./lib/core/util");
const { InvalidArgumentError } = errors;
const { getGlobalDispatcher } = require("./lib/global");
Object.assign(Dispatcher.prototype, api);
${code.slice(begin, end + MAKER_END.length)}
module.exports = { ${[...Object.keys(PARTS), ...calls].join(", ")} };
`;
}

function refuseOthers(code: string, id: string): void {
  const imports = code.matchAll(/^import (?!type )([^;]*?) from "undici";/gm);
  for (const [, what = ""] of imports) {
    const names = what
      .replaceAll(/[{}]/g, "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type "));
    const other = names.find((name) => !OFFERED.has(name));
    if (other !== undefined)
      throw new Error(`${id} imports ${other}, which is to be offered in undici-in-parts.ts`);
  }
}
