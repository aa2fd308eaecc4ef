import { randomBytes } from "node:crypto";
import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag } from "../../cli/flags/fleet-flags.ts";
import { CortexError } from "../../core/errors.ts";

interface CreatedKey {
  readonly id: string;
  readonly secret: string;
  /** Null where the block was only printed. */
  readonly file: string | null;
  readonly block: string;
}

export default class KeyCreateCommand extends FleetCommand {
  static override summary =
    "make a key for one client: its secret is shown once, only its hash goes into the fleet files";
  static override description =
    "Writes a [[keys]] block into keys.toml of the fleet (or into the fleet's one file). Commit it: a running gateway takes it by itself. The secret alone goes to stdout. Once one key is declared, nobody is served without one.";
  static override examples = [
    "<%= config.bin %> key create ci --config fleet/",
    "<%= config.bin %> key create laptop --model 'Qwen/*' --hard-cap 5000000 --window-secs 86400",
    "(umask 077; <%= config.bin %> key create ops --admin > ops.key)   # as --api-key-file takes it",
    "<%= config.bin %> key create ops --admin --print",
  ];
  static override args = {
    id: Args.string({ required: true, description: "how logs, metrics and usage call the key" }),
  };
  static override flags = {
    config: configFlag,
    model: Flags.string({
      multiple: true,
      helpValue: "PATTERN",
      summary: "ids and aliases it may use; * stands for any characters; default: all",
    }),
    "hard-cap": Flags.integer({ min: 1, helpValue: "TOKENS", summary: "tokens it may spend" }),
    "window-secs": Flags.integer({
      min: 1,
      helpValue: "SECONDS",
      dependsOn: ["hard-cap"],
      summary: "count the cap over the last so many seconds; default: over the key's life",
    }),
    "requests-per-minute": Flags.integer({
      min: 1,
      helpValue: "COUNT",
      summary: "requests within any minute",
    }),
    "parallel-requests": Flags.integer({ min: 1, helpValue: "COUNT", summary: "requests at one time" }),
    admin: Flags.boolean({ summary: "may also read /fleet, /fleet/requests and /usage" }),
    print: Flags.boolean({ summary: "write nothing; print the block" }),
  };

  async run(): Promise<CreatedKey> {
    const { args, flags } = await this.parse(KeyCreateCommand);
    const [{ keyBlockText }, { keyBlockSchema }, { hashOfSecret }, { addKeyBlock }] = await Promise.all([
      import("../../fleet/text/key-block.ts"),
      import("../../fleet/schema/fleet-schema.ts"),
      import("../../gateway/keys/key-ring.ts"),
      import("../../repository/io/edit-keys.ts"),
    ]);
    const secret = `sk-cortex-${randomBytes(32).toString("base64url")}`;
    const fields = {
      id: args.id,
      hash: hashOfSecret(secret),
      models: flags.model,
      window:
        flags["window-secs"] === undefined ? undefined : { kind: "rolling", seconds: flags["window-secs"] },
      hard_cap: flags["hard-cap"],
      requests_per_minute: flags["requests-per-minute"],
      parallel_requests: flags["parallel-requests"],
      role: flags.admin ? "admin" : undefined,
    };
    const checked = keyBlockSchema.safeParse(fields);
    if (!checked.success) {
      const [issue] = checked.error.issues;
      throw new CortexError("usage_error", `${issue?.path.join(".") ?? "the key"}: ${issue?.message ?? ""}`);
    }
    const block = keyBlockText(fields);
    if (!flags.print) await this.#refuseSecondKey(flags.config, args.id);
    const file = flags.print ? null : await addKeyBlock(flags.config, block);
    // The secret alone on stdout, so that it can go into a file.
    this.show(file === null ? printedText({ id: args.id, secret, block }) : secret);
    if (file !== null) this.remark(words({ id: args.id, file }));
    return { id: args.id, secret, file, block };
  }

  async #refuseSecondKey(path: string, id: string): Promise<void> {
    const { fleet } = await this.loadFleet({ path });
    if (!fleet.keys.some((key) => key.id === id)) return;
    throw new CortexError("usage_error", `the fleet has a key ${id} already`, {
      next: `choose another name, or remove it first: cortex key revoke ${id}`,
    });
  }
}

const printedText = ({ id, secret, block }: Pick<CreatedKey, "id" | "secret" | "block">): string =>
  `${block}\n# the secret of ${id}, shown this once:\n# ${secret}`;

const words = ({ id, file }: { readonly id: string; readonly file: string }): string =>
  `\nThis is the secret of ${id}, shown this once. Its hash is in ${file}: commit that file.\nA running cortex serve takes it by itself.`;
