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
    setupFiles: ["test/support/fail-on-console.ts", "test/support/property-seed.ts"],
  },
});

export default defineConfig({
  test: {
    reporters: ["default", new ClosingLineReporter()],
    projects: [
      project("unit", ["test/**/*.test.ts"], 10_000),
      { ...project("property", ["test/**/*.property.ts"], 60_000), plugins: [uncovered] },
      project("integration", ["test/**/*.integration.ts"], 60_000),
      { ...project("e2e", ["test/**/*.e2e.ts"], 120_000), plugins: [uncovered] },
    ],
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
