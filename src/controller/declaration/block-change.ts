import type { DeclaredChange } from "../../protocol/declaration/plan-declaration.ts";
import type { Settings, TableName } from "./declaration.ts";

/** A block that differs, with all of its settings on both sides. */
export interface BlockChange {
  readonly table: TableName;
  readonly name: string;
  readonly kind: DeclaredChange["kind"];
  readonly renamedFrom: string | null;
  readonly fields: DeclaredChange["fields"];
  readonly old: Settings | undefined;
  readonly own: Settings | undefined;
}
