import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { ClosingLineReporter } from "./test/support/closing-line-reporter.ts";

/** V8 counts every branch taken, which more than doubles the time of laws, and sees nothing of other processes. */
const uncovered: Plugin = {
  name: "cortex:uncovered",
  configureVitest({ project }) {
    project.config.coverage = { ...project.config.coverage, enabled: false };
  },
};

const project = (name: string, include: string[], testTimeoutMs: number) => ({
  test: {
    name,
    include,
    testTimeout: testTimeoutMs,
    hookTimeout: testTimeoutMs,
    // One second is soon over where several test files and their processes share a core.
    expect: { poll: { timeout: 10_000 } },
    setupFiles: ["test/support/fail-on-console.ts", "test/support/property-seed.ts"],
  },
});

const unit = project("unit", ["test/**/*.test.ts"], 10_000);
const property = project("property", ["test/**/*.property.ts"], 60_000);
const integration = project("integration", ["test/**/*.integration.ts"], 60_000);
const e2e = project("e2e", ["test/**/*.e2e.ts"], 120_000);

export default defineConfig({
  test: {
    reporters: ["default", new ClosingLineReporter()],
    projects: [
      // Tables of pure functions leave nothing behind: one process for all, which imports everything once.
      { test: { ...unit.test, isolate: false } },
      { ...property, plugins: [uncovered] },
      integration,
      { ...e2e, plugins: [uncovered] },
    ],
    // The default leaves a core idle: half the machine where there are two.
    maxWorkers: "100%",
    // A snapshot that is missing is a mistake here too, not only in CI: `-u` writes it on purpose.
    update: "none",
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "html"],
      reportOnFailure: true,
    },
  },
});
