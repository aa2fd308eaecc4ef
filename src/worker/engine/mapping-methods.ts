import { isRecord } from "../../core/json.ts";

const METHODS: ReadonlySet<unknown> = new Set(["items", "keys", "values"]);

/**
 * In Python a mapping's methods come before its keys; the interpreter here takes the key, so that a template that
 * walks through arguments with `.items()` fails on a tool that has an argument of this name. The filter of the same
 * name does the same and cannot be hidden: calls become filters, in place, in a parsed template.
 */
export function unhideMappingMethods(node: unknown): void {
  if (Array.isArray(node)) {
    for (const child of node) unhideMappingMethods(child);
    return;
  }
  if (!isRecord(node)) return;
  for (const child of Object.values(node)) unhideMappingMethods(child);
  const called = methodCalled(node);
  if (called !== null) Object.assign(node, { type: "FilterExpression", ...called });
}

function methodCalled({ type, callee, args }: Readonly<Record<string, unknown>>) {
  if (type !== "CallExpression" || !Array.isArray(args) || args.length > 0 || !isRecord(callee)) return null;
  const { type: calleeType, computed, object, property } = callee;
  if (calleeType !== "MemberExpression" || computed === true || !isRecord(property)) return null;
  return METHODS.has(property["value"]) ? { operand: object, filter: property } : null;
}
