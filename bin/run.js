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
// A gateway has requests enough under way to need 8 MiB for what is young. It gets them now and no more later, and what is
// old is looked through before it has doubled: that nearly halves what the process takes.
if (process.argv[2] === "serve") boundHeap();
// Without it oclif asks for the account's shell, and a user id without an account, as in many containers, has none.
process.env.SHELL ||= "/bin/sh";
// React, which draws the screens, is loaded as its slow build for developers unless this says otherwise.
process.env.NODE_ENV ||= "production";
const { runProgram } = await import("../dist/cli/run-program.js");
await runProgram(process.argv.slice(2));

function boundHeap() {
  const v8 = builtin("node:v8");
  const bothHalvesBytes = 16 * 1024 * 1024;
  const isGrown = () =>
    v8
      .getHeapSpaceStatistics()
      .some(({ space_name: name, space_size: bytes }) => name === "new_space" && bytes >= bothHalvesBytes);
  v8.setFlagsFromString("--semi-space-growth-factor=4");
  // It grows when what is young is looked through and found to live.
  const living = [];
  for (let round = 0; round < 4096 && !isGrown(); round += 1) living.push(new Array(8192).fill(round));
  v8.setFlagsFromString("--semi-space-growth-factor=1");
  v8.setFlagsFromString("--heap-growing-percent=30");
}
