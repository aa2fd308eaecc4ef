import { BaseCommand } from "../../cli/base-command.ts";
import { schemaView } from "../../cli/view/schema-view.ts";
import { planJsonSchema } from "../../protocol/plan-json-schema.ts";

export default class SchemaPlanCommand extends BaseCommand {
  static override summary = "print the JSON Schema of the plan document, for programs that read plans";
  static override description = "`cortex plan --json` prints such a document and `--out` saves it; docs/plan-document.md is the same for people.";
  static override examples = [
    "<%= config.bin %> schema plan > plan.schema.json",
    "<%= config.bin %> plan --json | check-jsonschema --schemafile plan.schema.json -",
  ];

  async run(): Promise<unknown> {
    await this.parse(SchemaPlanCommand);
    return this.present(schemaView(planJsonSchema()));
  }
}
