import { readFile } from "node:fs/promises";
import { CortexError } from "../../core/errors.ts";
import { type PlanDocument, planDocumentSchema } from "../../protocol/plan-document.ts";
import type { Environment } from "../../platform/environment.ts";
import { systemClock } from "../../platform/system-clock.ts";
import { readTokenFile } from "../../platform/token-file.ts";
import { planFleet } from "../plan-fleet.ts";
import { loadFleet } from "./load-fleet.ts";
import { observeFleet } from "./observe-fleet.ts";

export interface MakePlanOptions {
  readonly path: string;
  readonly ref?: string | undefined;
  readonly environment: Environment;
  readonly neuronTokenFile?: string | undefined;
}

/** Desired from the files, observed from the neurons, and the difference between them. */
export async function makePlan(options: MakePlanOptions): Promise<PlanDocument> {
  const { environment, neuronTokenFile } = options;
  const { fleet, digest, revision } = await loadFleet({
    path: options.path,
    ref: options.ref,
    environmentOverrides: environment.cortexVariables,
    inherited: environment.inherited,
  });
  const neuronToken = neuronTokenFile === undefined ? undefined : await readTokenFile(neuronTokenFile);
  const observed = await observeFleet(fleet, { clock: systemClock, neuronToken });
  return planFleet({ fleet, fleetDigest: digest, revision, observed });
}

/** A plan that `cortex plan --out` wrote. */
export async function readSavedPlan(path: string): Promise<PlanDocument> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw new CortexError("usage_error", `cannot read the plan ${path}`, {
      next: `cortex plan --out ${path} writes one`,
      cause: thrown,
    });
  });
  const parsed = planDocumentSchema.safeParse(jsonOrUndefined(text));
  if (parsed.success) return parsed.data;
  throw new CortexError("usage_error", `${path} is no plan of this version of cortex`, {
    next: `write it again: cortex plan --out ${path}`,
    cause: parsed.error,
  });
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
