import type { Operator } from "../../protocol/refs/lock-record.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

interface Blame {
  readonly model: string;
  readonly changes: readonly {
    readonly neuron: string;
    readonly kind: string;
    readonly at_ms: number;
    readonly operation: string;
    readonly operator: Operator;
    readonly revision: string | null;
    readonly entry: string;
    readonly epoch: number | null;
  }[];
}

export function blameView(blame: Blame): View<Blame> {
  return {
    json: blame,
    human: () =>
      blame.changes.length === 0
        ? `The history has no change of ${blame.model}; what is loaded by hand or on a request is not in it.`
        : tableText(
            ["NEURON", "LAST CHANGE", "WHEN", "WHO", "REVISION", "EPOCH"],
            blame.changes.map((row) => [
              row.neuron,
              row.kind,
              new Date(row.at_ms).toISOString().replace(/\.\d+Z$/, "Z"),
              `${row.operator.user}@${row.operator.host} ${row.operation}${row.operator.run_url === null ? "" : ` ${row.operator.run_url}`}`,
              row.revision?.slice(0, 8) ?? "no commit",
              row.epoch === null ? "" : String(row.epoch),
            ]),
          ),
  };
}
