import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { runCortex } from "./support/cortex-process.ts";

test("screens are drawn by React's build for users, unless somebody asks for the other one", async () => {
  const tell = 'process.on("exit", () => process.stderr.write(`NODE_ENV=${process.env.NODE_ENV}\\n`));';
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(tell)}`;
  const usual = await runCortex(["--version"], { environment: { NODE_OPTIONS } });
  expect(usual.stderr).toContain("NODE_ENV=production\n");
  const asked = await runCortex(["--version"], { environment: { NODE_OPTIONS, NODE_ENV: "development" } });
  expect(asked.stderr).toContain("NODE_ENV=development\n");
});

test.each(["neuron --help", "--help", "plan --help"])(
  "cortex %s is quiet when its reader has gone, as head does",
  async (command) => {
    const program = fileURLToPath(new URL("../bin/run.js", import.meta.url));
    // The reader ends long before there is anything to read; a failure of the writer is one of the pipe.
    const pipe = `set -o pipefail; "${process.execPath}" "${program}" ${command} | true`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", pipe]);
    expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "" });
  },
);
