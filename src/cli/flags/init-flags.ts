import { CortexError } from "../../core/errors.ts";
import { fleetTableSchema } from "../../fleet/schema/fleet-schema.ts";
import { hasSecret } from "../../fleet/text/mask-secrets.ts";

/** `--name`. Throws `usage_error` for what a fleet cannot be called. */
export function checkedName(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const checked = fleetTableSchema.safeParse({ name });
  if (checked.success) return name;
  throw new CortexError(
    "usage_error",
    `--name ${checked.error.issues[0]?.message ?? "is not allowed"}, not "${name}"`,
    {
      next: "cortex init --name home",
    },
  );
}

/** `--package`: it stands in YAML and reaches npm as one word. Throws `usage_error`. */
export function checkedPackage(spec: string | undefined): string | undefined {
  if (spec !== undefined && hasSecret(spec)) {
    throw new CortexError(
      "usage_error",
      "--package holds a password or a token, and the workflow is in git",
      {
        next: "name a package that a job may fetch without one, or put cortex on the runner",
      },
    );
  }
  if (spec === undefined || /^[A-Za-z0-9@./~][A-Za-z0-9@:%+,=#&?./_~^-]*$/.test(spec)) return spec;
  throw new CortexError("usage_error", `--package "${spec}" is not a package that npm can install`, {
    next: "cortex init --package https://host/cortex-0.1.0.tgz",
  });
}

/** `--ci`, each host once; undefined: not asked for. Throws `usage_error` for none and one. */
export function chosenHosts<Host extends string>(
  flags: readonly (Host | "none")[] | undefined,
): readonly Host[] | undefined {
  if (flags === undefined) return undefined;
  const hosts = [...new Set(flags)].filter((host): host is Host => host !== "none");
  if (hosts.length > 0 && flags.includes("none")) {
    throw new CortexError("usage_error", "--ci none goes with no other --ci", { next: "cortex init --help" });
  }
  return hosts;
}
