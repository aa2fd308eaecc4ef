#!/usr/bin/env node
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `cortex needs Node 24 or newer; this is ${process.version} (${process.execPath}).\n` +
      "Next: in the repository run it through npm, which uses the pinned Node: npx cortex --help\n",
  );
  process.exit(64);
}
const { execute } = await import("@oclif/core");
await execute({ dir: import.meta.url });
