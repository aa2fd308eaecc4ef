import { CortexError } from "./errors.ts";

/**
 * A value that must be there: an index just counted, a key just written. A missing one is a defect of cortex and says
 * what is missing, where a default would go on with a wrong number. `which` names the one of many, so that nobody has
 * to build a text for each lookup that goes well.
 */
export function present<Value>(value: Value, what: string, which?: string | number): NonNullable<Value> {
  if (value !== undefined && value !== null) return value;
  throw new CortexError(
    "internal_error",
    which === undefined ? `${what} is missing` : `${what} ${JSON.stringify(which)} is missing`,
  );
}
