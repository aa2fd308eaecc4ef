import type { MemberRecord } from "../../trust/member-record.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

export const membersView = (
  members: readonly MemberRecord[],
  nowMs: number,
): View<readonly MemberRecord[]> => ({
  json: members,
  human: () =>
    members.length === 0
      ? "Nobody has joined yet. cortex neuron invite NAME lets a machine in."
      : tableText(
          ["NAME", "ROLE", "STATE", "UNTIL", "SERIAL"],
          members.map((member) => [
            member.name,
            member.role,
            stateOf(member, nowMs),
            new Date(member.not_after_ms).toISOString(),
            member.serial,
          ]),
        ),
});

function stateOf(
  { revoked_at_ms: revokedAtMs, not_after_ms: notAfterMs }: MemberRecord,
  nowMs: number,
): string {
  if (revokedAtMs !== null) return "revoked";
  return notAfterMs <= nowMs ? "expired" : "good";
}
