// The import rules of ARCHITECTURE.md, section "Import direction". `npm run boundaries` checks them;
// test/boundaries.test.ts plants violations and expects each rule to fire.
const AREAS = "controller|neuron|gateway";
const PURE = `^src/(${AREAS}|local)/[^/]+\\.ts$`;
const PURE_PACKAGES = "zod|smol-toml|@huggingface/jinja";

/** Every rule is an error: a warning would only be read once. */
const rule = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

module.exports = {
  forbidden: [
    rule("no-cycles", "a cycle has no bottom to start reading from", {}, { circular: true }),
    rule(
      "core-imports-nothing",
      "core is used everywhere",
      { path: "^src/core/" },
      { path: "^src/(?!core/)" },
    ),
    rule(
      "fleet-imports-core",
      "what people declare knows nothing of processes",
      { path: "^src/fleet/" },
      { path: "^src/(?!fleet/|core/)" },
    ),
    rule(
      "protocol-imports-fleet",
      "the wire contract stands on its own",
      { path: "^src/protocol/" },
      { path: "^src/(?!protocol/|fleet/|core/)" },
    ),
    rule(
      "platform-imports-core",
      "edges know no area",
      { path: "^src/platform/" },
      { path: "^src/(?!platform/|core/)" },
    ),
    rule(
      "areas-are-strangers",
      "areas meet only in protocol",
      { path: `^src/(${AREAS})/` },
      { path: `^src/(${AREAS})/`, pathNot: "^src/$1/" },
    ),
    rule(
      "local-is-the-only-composer",
      "only the embedded stack and commands join areas",
      { path: "^src/(?!local/|commands/)" },
      { path: "^src/local/" },
    ),
    rule(
      "pure-never-imports-io",
      "pure decides, io acts",
      { path: PURE },
      { path: "/io/|^src/(platform|cli|commands|tui)/" },
    ),
    rule(
      "pure-never-imports-builtins",
      "only hashing is pure",
      { path: `${PURE}|^src/(core|fleet|protocol)/` },
      { dependencyTypes: ["core"], pathNot: "^(node:)?crypto$" },
    ),
    rule(
      "pure-npm-allow-list",
      "packages that compute and touch nothing",
      { path: `${PURE}|^src/(core|fleet|protocol)/` },
      {
        dependencyTypes: ["npm", "npm-dev", "npm-no-pkg", "npm-optional"],
        pathNot: `node_modules/(${PURE_PACKAGES})(/|$)`,
      },
    ),
    rule(
      "io-never-imports-the-top",
      "io serves commands, not the other way",
      { path: `^src/(${AREAS}|local)/io/` },
      { path: "^src/(cli|commands|tui)/" },
    ),
    rule(
      "cli-imports-no-area",
      "cli prints what protocol describes",
      { path: "^src/cli/" },
      { path: `^src/(${AREAS}|local|commands)/` },
    ),
    rule(
      "nobody-imports-commands",
      "commands are leaves",
      { pathNot: "^src/commands/" },
      { path: "^src/commands/" },
    ),
    rule(
      "one-file-knows-the-engine",
      "node-llama-cpp is replaceable",
      { pathNot: "^src/worker/engine/io/" },
      { path: "node_modules/node-llama-cpp/" },
    ),
    rule(
      "verifier-shares-no-code",
      "a second opinion that uses the planner's code is the first one again",
      { path: "^src/controller/verify-[a-z-]+\\.ts$" },
      {
        path: "^src/",
        pathNot:
          "^src/controller/verify-[a-z-]+\\.ts$|^src/protocol/(plan-document|fleet-snapshot|neuron-api)\\.ts$",
      },
    ),
    rule(
      "nobody-plans-with-the-verifier",
      "the planner must not learn from its examiner",
      {
        path: "^src/controller/",
        pathNot: "^src/controller/((verify-[a-z-]+|check-before-apply)\\.ts$|io/)",
      },
      { path: "^src/controller/verify-[a-z-]+\\.ts$" },
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
