import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename } from "node:path";

/*
 * How often the innermost loop of each F16 matrix kernel writes to the stack, in the binaries that are given (by default those
 * that came with the binding): `node bench/worker/spilled-tiles.ts [llama-server]`. Needs nm and objdump.
 */

const given = process.argv.slice(2);
const paths = [...globSync("node_modules/@node-llama-cpp/linux-x64/bins/*/libggml-cpu-*.so"), ...given];
const run = (command: string, args: readonly string[]): readonly string[] =>
  execFileSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 28 }).split("\n");

/** A kernel computes a tile of rows by columns, each of whose sums is to stay in a register. */
const KERNEL =
  /^(\w+) (\w+) t .*tinyBLAS<(\d+), float __vector\(\d+\), float __vector\(\d+\), unsigned short, unsigned short, float>::gemm_bloc<(\d), (\d)>/;

interface Instruction {
  readonly at: number;
  readonly text: string;
}

function instructionsOf(path: string, start: number, length: number): readonly Instruction[] {
  const range = [`--start-address=${start}`, `--stop-address=${start + length}`];
  return run("objdump", ["-d", "--no-show-raw-insn", ...range, path]).flatMap((line) => {
    const [, at, text] = /^\s+([0-9a-f]+):\s+(.*)/.exec(line) ?? [];
    return at === undefined || text === undefined ? [] : [{ at: Number.parseInt(at, 16), text }];
  });
}

/** The shortest stretch that jumps back to its beginning and multiplies. */
function innermostLoop(code: readonly Instruction[]): readonly Instruction[] {
  const loops = code.flatMap(({ at, text }) => {
    const target = Number.parseInt(/^j\w+\s+([0-9a-f]+)/.exec(text)?.[1] ?? "", 16);
    const body = target < at ? code.filter((one) => one.at >= target && one.at <= at) : [];
    return body.some(multiplies) ? [body] : [];
  });
  return loops.toSorted((a, b) => a.length - b.length)[0] ?? [];
}

const multiplies = ({ text }: Instruction): boolean => /^v(?:fmadd\w+|mulps)/.test(text);
const spills = ({ text }: Instruction): boolean => /^vmov\w+\s+%[xyz]mm\d+,.*\(%r[sb]p\)/.test(text);

for (const path of paths) {
  const tiles = run("nm", ["-SC", path]).flatMap((line) => {
    const [, start, length, width, rows, columns] = KERNEL.exec(line) ?? [];
    if (start === undefined || length === undefined) return [];
    const loop = innermostLoop(instructionsOf(path, Number.parseInt(start, 16), Number.parseInt(length, 16)));
    const products = loop.filter(multiplies).length;
    return [`${rows}x${columns} of ${width}: ${products} products, ${loop.filter(spills).length} stores`];
  });
  console.log(`${basename(path).padEnd(32)} ${tiles.length === 0 ? "no such kernel" : tiles.join("; ")}`);
}
