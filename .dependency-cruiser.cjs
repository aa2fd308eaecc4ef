// The import rules of ARCHITECTURE.md. `npm run boundaries` checks them;
// test/boundaries.integration.ts plants a violation of each and expects it to fire.

/** What each area may import, besides itself. An area is a program or a contract; programs are strangers to each other. */
const AREAS = {
  core: [],
  fleet: ["core"],
  protocol: ["fleet", "core"],
  manual: ["fleet", "core"],
  platform: ["core"],
  trust: ["protocol", "platform", "core"],
  repository: ["fleet", "protocol", "platform", "core"],
  controller: ["repository", "protocol", "fleet", "platform", "core"],
  neuron: ["trust", "protocol", "fleet", "platform", "core"],
  worker: ["protocol", "platform", "core"],
  gateway: ["repository", "protocol", "fleet", "platform", "core"],
  client: ["protocol", "platform", "core"],
  page: ["protocol", "core"],
  doctor: ["trust", "neuron", "repository", "protocol", "fleet", "platform", "core"],
  demo: ["client", "controller", "neuron", "gateway", "repository", "protocol", "fleet", "platform", "core"],
  cli: ["repository", "trust", "protocol", "fleet", "platform", "core"],
};

/**
 * What each room may import of its siblings. A folder's own files are its front door: they may import its rooms, the
 * rooms never import them, nor a sibling that is not listed here.
 */
const ROOMS = {
  protocol: { openai: [], headers: [], declaration: [], refs: [], findings: [], trust: [], wire: [] },
  fleet: { text: [], schema: [], check: ["schema", "text"] },
  controller: {
    observe: [],
    verify: [],
    intent: ["observe"],
    schedule: ["observe"],
    adopt: ["observe"],
    place: ["intent", "observe"],
    declaration: [],
    plan: ["place", "schedule", "intent", "observe", "declaration"],
    apply: ["plan", "verify", "observe"],
    lock: [],
    history: ["lock", "apply"],
    reconcile: ["plan", "apply", "lock", "history"],
  },
  "controller/place": {
    board: [],
    search: ["board"],
    prove: ["search", "board"],
    explain: ["prove", "search", "board"],
  },
  "controller/adopt": { imported: [], "llama-swap": ["imported"], helexa: ["imported"], peers: ["imported"] },
  neuron: {
    machine: [],
    model: [],
    store: ["model"],
    residency: ["machine", "model", "store"],
    launch: ["model", "residency"],
    events: ["residency"],
  },
  worker: { engine: [], answer: ["engine"], external: [], scripted: [] },
  "worker/engine": { speculation: [], trial: [] },
  gateway: {
    front: [],
    view: [],
    routing: ["view"],
    loading: ["view", "routing"],
    relay: [],
    keys: [],
    page: [],
    dialect: ["relay"],
    crew: ["view", "routing", "loading", "keys", "dialect"],
  },
  "gateway/dialect": { contract: [], anthropic: ["contract"], responses: ["contract"], ollama: ["contract"] },
  client: { grammar: [], conform: ["grammar"], settings: [], measure: [] },
  cli: {
    flags: [],
    print: [],
    overview: [],
    view: ["print"],
    tables: ["print", "overview", "view"],
    top: ["print", "overview"],
    chat: ["print"],
    screen: [],
    shell: [],
  },
};

/** Every rule is an error: a warning would only be read once. */
const rule = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

const areaRules = Object.entries(AREAS).map(([area, may]) =>
  rule(
    `area-${area}`,
    `${area} may import ${may.join(", ") || "nothing"}`,
    { path: `^src/${area}/` },
    { path: `^src/(?!(${[area, ...may].join("|")})/)` },
  ),
);

const roomRules = Object.entries(ROOMS).flatMap(([folder, rooms]) =>
  Object.entries(rooms).map(([room, may]) =>
    rule(
      `room-${folder.replace("/", "-")}-${room}`,
      `${folder}/${room} may import ${may.join(", ") || "none"} of its siblings`,
      { path: `^src/${folder}/${room}/` },
      { path: `^src/${folder}/(?!(${[room, ...may].join("|")})/)` },
    ),
  ),
);

// `cli` and `commands` are the edge of the process: they print and they are told the time.
const PURE = { path: "^src/(?!platform/|cli/|commands/)", pathNot: "/io/" };
const PURE_PACKAGES = "zod|smol-toml|yaml|jsonc-parser|croner|@huggingface/jinja";
const CONTROLLER = "^src/controller/";
const VERIFIED_DOCUMENTS =
  "^src/protocol/(plan-document|declaration/plan-declaration|plan-unplaced|fleet-snapshot|neuron-api)\\.ts$";

module.exports = {
  forbidden: [
    rule("no-cycles", "a cycle has no bottom to start reading from", {}, { circular: true }),
    ...areaRules,
    ...roomRules,
    rule(
      "nobody-imports-commands",
      "commands are leaves",
      { pathNot: "^src/commands/" },
      { path: "^src/commands/" },
    ),
    rule(
      "commands-are-leaves",
      "a command does not call another one",
      { path: "^src/commands/" },
      { path: "^src/commands/" },
    ),
    rule("pure-imports-no-io", "pure decides, io acts", PURE, { path: "/io/|^src/platform/" }),
    rule("pure-imports-no-builtins", "only hashing is pure", PURE, {
      dependencyTypes: ["core"],
      pathNot: "^(node:)?crypto$",
    }),
    rule("pure-npm-allow-list", "packages that compute and touch nothing", PURE, {
      dependencyTypes: ["npm", "npm-dev", "npm-no-pkg", "npm-optional"],
      pathNot: `node_modules/(${PURE_PACKAGES})(/|$)`,
    }),
    rule(
      "one-room-knows-the-engine",
      "node-llama-cpp is replaceable",
      { pathNot: "^src/worker/engine/((speculation|trial)/)?io/" },
      { path: "node_modules/node-llama-cpp/" },
    ),
    rule(
      "one-room-knows-the-solver",
      "HiGHS is replaceable, and optional",
      { pathNot: "^src/controller/place/io/" },
      { path: "node_modules/highs/" },
    ),
    rule(
      "one-room-knows-ink",
      "screens are loaded when one is shown, and only then",
      { pathNot: "^src/cli/screen/" },
      { path: "node_modules/(ink|react)/" },
    ),
    rule(
      "one-room-knows-cron",
      "what a pattern means is said in one place",
      { pathNot: "^src/fleet/schema/" },
      { path: "node_modules/croner/" },
    ),
    rule(
      "one-area-knows-x509",
      "certificates are made in one place",
      { pathNot: "^src/trust/io/" },
      { path: "node_modules/(@peculiar/x509|reflect-metadata)/" },
    ),
    rule(
      "nobody-imports-the-page",
      "the page runs in a browser, and what it imports is sent there",
      { path: "^src/(?!page/)" },
      { path: "^src/page/" },
    ),
    rule(
      "the-page-runs-in-a-browser",
      "a browser has none of Node's modules",
      { path: "^src/page/" },
      { dependencyTypes: ["core"] },
    ),
    rule(
      "one-room-knows-git",
      "git is run in one way, and what it says is read in one place",
      { pathNot: "^src/repository/io/" },
      { path: "node_modules/simple-git/" },
    ),
    rule(
      "verifier-shares-no-code",
      "a second opinion that uses the planner's code is the first one again",
      { path: `${CONTROLLER}verify/` },
      { path: "^src/", pathNot: `${CONTROLLER}verify/|${VERIFIED_DOCUMENTS}` },
    ),
    rule(
      "nobody-plans-with-the-verifier",
      "the planner must not learn from its examiner",
      { path: CONTROLLER, pathNot: `${CONTROLLER}(verify|apply)/` },
      { path: `${CONTROLLER}verify/` },
    ),
    rule(
      "one-encoder-of-plans",
      "the planner has its own words; what writes the plan document down is plan/encode-*",
      {
        path: `${CONTROLLER}(observe|intent|schedule|place|plan)/`,
        pathNot: `/io/|${CONTROLLER}plan/(encode-[a-z]+|plan-fleet)\\.ts$`,
      },
      { path: "^src/protocol/plan-(document|outlook)\\.ts$" },
    ),
    rule("not-to-unresolvable", "an import must exist", {}, { couldNotResolve: true }),
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".js"],
    },
  },
};
