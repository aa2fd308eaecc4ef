import { z } from "zod";

/** What `cortex conform --json` said of servers that are not ours; docs/conformance.md tells it. */
export const otherServersSchema = z.array(
  z.object({
    server: z.string(),
    dialect: z.string(),
    kept: z.int(),
    broken: z.array(z.object({ rule: z.string(), seen: z.string() })),
    not_seen: z.array(z.string()),
  }),
);
export type OtherServers = z.infer<typeof otherServersSchema>;

const reportSchema = z.object({
  dialect: z.string(),
  rules: z.array(
    z.object({
      rule: z.string(),
      outcome: z.enum(["kept", "broken", "not-seen"]),
      breaches: z.array(z.object({ step: z.string(), detail: z.string() })),
    }),
  ),
});

/** A report as it is kept: of each broken rule the first that was seen. */
export function keptReport(server: string, report: unknown): OtherServers[number] {
  const { dialect, rules } = reportSchema.parse(report);
  const of = (outcome: string) => rules.filter((rule) => rule.outcome === outcome);
  return {
    server,
    dialect,
    kept: of("kept").length,
    broken: of("broken").map(({ rule, breaches }) => ({ rule, seen: shortened(breaches[0]) })),
    not_seen: of("not-seen").map(({ rule }) => rule),
  };
}

function shortened(breach: { readonly step: string; readonly detail: string } | undefined): string {
  if (breach === undefined) return "";
  const text = `${breach.step}: ${breach.detail}`;
  return text.length > 160 ? `${text.slice(0, 160)}...` : text;
}
