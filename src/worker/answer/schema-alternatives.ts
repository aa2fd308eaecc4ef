import { isRecord } from "../../core/json.ts";

/**
 * Whether no value can satisfy two of a `oneOf`'s branches, as far as that is plain to see: different types, or
 * objects that demand different constants of the same property.
 */
export function alternativesExclude(branches: readonly unknown[]): boolean {
  return branches.every((branch, index) =>
    branches.slice(index + 1).every((other) => exclude(branch, other)),
  );
}

type Schema = Readonly<Record<string, unknown>>;

function exclude(a: unknown, b: unknown): boolean {
  if (!isRecord(a) || !isRecord(b)) return false;
  return differentConstants(a, b) || differentTypes(a, b) || differentProperty(a, b);
}

function constants(schema: Schema): readonly string[] | undefined {
  if ("const" in schema) return [JSON.stringify(schema["const"])];
  return Array.isArray(schema["enum"]) ? schema["enum"].map((value) => JSON.stringify(value)) : undefined;
}

function differentConstants(a: Schema, b: Schema): boolean {
  const ofA = constants(a);
  const ofB = constants(b);
  return ofA !== undefined && ofB !== undefined && !ofA.some((value) => ofB.includes(value));
}

/** An integer is a number too. */
const kind = (type: string): string => (type === "integer" ? "number" : type);

function differentTypes(a: Schema, b: Schema): boolean {
  const ofA = a["type"];
  const ofB = b["type"];
  if (typeof ofA !== "string" || typeof ofB !== "string") return false;
  return kind(ofA) !== kind(ofB);
}

function differentProperty(a: Schema, b: Schema): boolean {
  const demanded = (schema: Schema): readonly unknown[] =>
    Array.isArray(schema["required"]) ? schema["required"] : [];
  const ofA = isRecord(a["properties"]) ? a["properties"] : {};
  const ofB = isRecord(b["properties"]) ? b["properties"] : {};
  return demanded(a)
    .filter((name): name is string => typeof name === "string" && demanded(b).includes(name))
    .some((name) => {
      const inA = ofA[name];
      const inB = ofB[name];
      return isRecord(inA) && isRecord(inB) && differentConstants(inA, inB);
    });
}
