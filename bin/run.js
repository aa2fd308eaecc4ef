#!/usr/bin/env node
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `cortex needs Node 24 or newer; this is ${process.version} (${process.execPath}).\n` +
      "Next: in the repository run it through npm, which uses the pinned Node: npx cortex --help\n",
  );
  process.exit(64);
}
// Not by `import`, which reads every property that a module has, and loads what is behind the lazy ones.
const builtin = process.getBuiltinModule;
// Compiling what is imported is a third of a start. In the user's own directory: whoever can write there could put
// code into this process, so not where Node keeps it by itself, which is below the temporary directory of all users.
const { join } = builtin("node:path");
const caches = process.env.XDG_CACHE_HOME || join(builtin("node:os").homedir(), ".cache");
builtin("node:module").enableCompileCache(
  process.env.NODE_COMPILE_CACHE || join(caches, "cortex", "compiled"),
);
// A neuron relays for months: what dies young need not have 16 MiB and more to live in, which it never gives back.
if (process.argv[2] === "neuron") builtin("node:v8").setFlagsFromString("--semi-space-growth-factor=1");
if (process.argv[2] === "serve") {
  const { setFlagsFromString } = builtin("node:v8");
  // What is old in a gateway is looked through before it has doubled, so that it takes less memory.
  setFlagsFromString("--heap-growing-percent=30");
  // What a start makes is there to stay: it gets little room to die young in. How much later: src/platform/young-generation.ts.
  setFlagsFromString("--semi-space-growth-factor=1");
  // The HTTP parser of undici, for what is asked of neurons beside requests, stays as it is compiled first: to make it fast
  // takes 10 MiB that never come back. Another WebAssembly is there with plans alone, and has more to do.
  if (!process.argv.includes("--reconcile"))
    for (const flag of ["--no-wasm-tier-up", "--no-wasm-dynamic-tiering"]) setFlagsFromString(flag);
}
// Without it oclif asks for the account's shell, and a user id without an account, as in many containers, has none.
process.env.SHELL ||= "/bin/sh";
// React, which draws the screens, is loaded as its slow build for developers unless this says otherwise.
process.env.NODE_ENV ||= "production";
// A plan of a large fleet takes seconds. What other threads spend on the last tier of optimizing is not paid back in so
// short a life: less of the processor, and the main thread is no slower for it.
if (process.argv[2] === "plan")
  builtin("node:v8").setFlagsFromString("--invocation-count-for-turbofan=50000");
const { runProgram } = await import("../dist/cli/run-program.js");
await runProgram(process.argv.slice(2));
