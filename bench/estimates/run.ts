import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { estimateFootprint } from "../../src/neuron/model/estimate-footprint.ts";
import { readCpuPacking } from "../../src/neuron/model/io/cpu-packing.ts";
import { createModelFiles } from "../../src/neuron/model/io/model-files.ts";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import { modelSpecSchema } from "../../src/protocol/neuron-api.ts";
import { writeTinyGguf, type TinyGgufOptions } from "../../test/support/neuron/gguf-writer.ts";

/*
 * What the neuron says of a model before it loads it, beside what the engine then holds. The demo model, generated ones of
 * several shapes, and the files that are named on the command line; each with several contexts and slots. Exit code 1
 * when one is more than 5 % off and more than 1 MiB, which is the unit of all figures that are told.
 */

const BOUND = 0.05;
const MIB = 1024 * 1024;
const SETTINGS = [
  { context: 256, parallel: 1 },
  { context: 2048, parallel: 1 },
  { context: 8192, parallel: 1 },
  { context: 2048, parallel: 4 },
  { context: 4096, parallel: 8 },
];
const GENERATED: Readonly<Record<string, TinyGgufOptions>> = {
  tiny: {},
  "f16-wide": { embedding: 512, heads: 8, feedForward: 1536, layers: 6, weights: "f16" },
  "f32-deep": { embedding: 128, heads: 4, feedForward: 512, layers: 24 },
  "f16-broad": { embedding: 256, heads: 8, feedForward: 4096, layers: 4, weights: "f16" },
};

const measure = fileURLToPath(new URL("./measure.ts", import.meta.url));

function measuredBytes(path: string, { context, parallel }: (typeof SETTINGS)[number]): number {
  const output = execFileSync(process.execPath, [measure, path, String(context), String(parallel)], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  return Number(output.toString("utf8").trim().split("\n").at(-1));
}

const inMib = (bytes: number): string => (bytes / MIB).toFixed(1);

const directory = await mkdtemp(join(tmpdir(), "cortex-estimates-"));
let worst = 0;
try {
  for (const [name, options] of Object.entries(GENERATED)) {
    await writeFile(join(directory, `${name}.gguf`), writeTinyGguf(options));
  }
  const paths = [
    join(shippedModelsDirectory(), "cortex-demo.gguf"),
    ...Object.keys(GENERATED).map((name) => join(directory, `${name}.gguf`)),
    ...process.argv.slice(2),
  ];
  const packing = await readCpuPacking();
  const files = createModelFiles(paths.map((path) => dirname(path)));
  console.log(`${cpus()[0]?.model.trim()}, weights packed for ${packing}, Node ${process.version}`);
  console.log("model            context  slots  estimated MiB  measured MiB   off");
  for (const path of paths) {
    const { fileBytes, shape } = await files.inspect(
      modelSpecSchema.parse({ model_id: "m", source: `file:${path}` }),
    );
    for (const settings of SETTINGS) {
      const { context: contextTokens, parallel } = settings;
      const place = { kind: "cpu", packing } as const;
      const footprint = estimateFootprint({ fileBytes, shape, contextTokens, parallel, place });
      const estimated = footprint.weightBytes + footprint.cacheBytes + footprint.computeBytes;
      const measured = measuredBytes(path, settings);
      const off = estimated / measured - 1;
      if (Math.abs(estimated - measured) > MIB) worst = Math.max(worst, Math.abs(off));
      const columns = [
        basename(path, ".gguf").padEnd(15),
        String(contextTokens).padStart(8),
        String(parallel).padStart(6),
        inMib(estimated).padStart(14),
        inMib(measured).padStart(13),
        `${(off * 100).toFixed(1)} %`.padStart(8),
      ];
      console.log(columns.join(" "));
    }
  }
} finally {
  await rm(directory, { recursive: true });
}
console.log(`worst, of those more than 1 MiB off: ${(worst * 100).toFixed(1)} % (bound ${BOUND * 100} %)`);
process.exitCode = worst > BOUND ? 1 : 0;
