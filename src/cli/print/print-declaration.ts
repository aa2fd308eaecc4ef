import type { DeclaredChange } from "../../protocol/declaration/plan-declaration.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import {
  declarationRemark,
  declarationTitle,
  declaredFieldsText,
  declaredName,
  WHO_ACTS,
} from "./declaration-words.ts";
import { paint, type Paint } from "./paint.ts";

const SYMBOLS: Readonly<Record<DeclaredChange["kind"], readonly [string, Paint]>> = {
  added: ["+", "green"],
  removed: ["-", "red"],
  changed: ["~", "yellow"],
  renamed: ["~", "yellow"],
};

/** Settings that differ, each with its consequence: what widens access first and marked. */
export function declarationLines(plan: PlanDocument, { colour }: { readonly colour: boolean }): string {
  const title = declarationTitle(plan);
  const remark = declarationRemark(plan);
  const quiet = remark === "" ? [] : [paint(remark, "dim", colour)];
  if (title === undefined) return quiet.join("\n");
  const rows = plan.declaration.changes.flatMap((change) => {
    const [symbol, style] = SYMBOLS[change.kind];
    const fields = declaredFieldsText(change);
    const head = `  ${paint(symbol, style, colour)} ${paint(declaredName(change), "bold", colour)}`;
    const mark = change.exposes ? paint("! ", "yellow", colour) : "";
    return [
      `${head}${fields === "" ? "" : `: ${fields}`}`,
      ...change.consequences.map(
        (text) => `      ${mark}${paint(text, change.exposes ? "yellow" : "dim", colour)}`,
      ),
    ];
  });
  return [paint(title, "bold", colour), ...rows, `  ${paint(WHO_ACTS, "dim", colour)}`, ...quiet].join("\n");
}
