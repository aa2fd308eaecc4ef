import { BaseCommand } from "../../cli/base-command.ts";
import { membersView } from "../../cli/view/members-view.ts";
import type { MemberRecord } from "../../trust/member-record.ts";

export default class NeuronLsCommand extends BaseCommand {
  static override summary = "the certificates that this user's authority has given out";
  static override examples = ["<%= config.bin %> neuron ls", "<%= config.bin %> neuron ls --json"];

  async run(): Promise<readonly MemberRecord[]> {
    await this.parse(NeuronLsCommand);
    const { openAuthority } = await import("../../trust/io/authority.ts");
    const { systemClock } = await import("../../platform/system-clock.ts");
    const authority = await openAuthority(this.environment.dataDirectory, systemClock);
    return this.present(membersView(await authority.members(), systemClock.nowMs()));
  }
}
