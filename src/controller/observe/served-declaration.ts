import { z } from "zod";
import { servedFleetSchema, type ServedFleet } from "../../protocol/declaration/declared-fleet.ts";

/** What a gateway said of the files that it serves. */
export interface ServedDeclaration {
  /** Base URL that was asked. */
  readonly gateway: string;
  readonly served: { readonly fleet: string; readonly declared: ServedFleet } | undefined;
  /** Why it is not known. */
  readonly remark: string | null;
}

const answerSchema = z.object({ fleet: z.string(), declared: servedFleetSchema.optional() });

/** The answer to `GET /fleet`, from a gateway of any version, or from something else that listens there. */
export function servedFrom(answer: {
  readonly url: string;
  readonly status: number;
  readonly body: unknown;
}): ServedDeclaration {
  const { url, status, body } = answer;
  const unknown = (remark: string): ServedDeclaration => ({ gateway: url, served: undefined, remark });
  if (status === 401 || status === 403)
    return unknown(`the gateway at ${url} tells only a key with the admin role: --api-key-file`);
  const parsed = answerSchema.safeParse(body);
  if (status !== 200 || !parsed.success) return unknown(`what answers at ${url} is not a gateway of cortex`);
  const { fleet, declared } = parsed.data;
  if (declared === undefined)
    return unknown(`the gateway at ${url} does not say what it serves; it is older`);
  return { gateway: url, served: { fleet, declared }, remark: null };
}
