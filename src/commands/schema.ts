import { BaseCommand } from "../cli/base-command.ts";
import { schemaView } from "../cli/view/schema-view.ts";
import { fleetJsonSchema, SCHEMA_PATH } from "../fleet/schema/fleet-json-schema.ts";

export default class SchemaCommand extends BaseCommand {
  static override summary = "print the JSON Schema of fleet files, for editors";
  static override description = `A fleet file names it in its first line, and an editor with a TOML language server completes and checks:
  #:schema ./${SCHEMA_PATH}
\`cortex init\` puts a copy there; write it again after an upgrade.`;
  static override examples = [`<%= config.bin %> schema > ${SCHEMA_PATH}`];

  async run(): Promise<unknown> {
    await this.parse(SchemaCommand);
    return this.present(schemaView(fleetJsonSchema()));
  }
}
