import { request } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import { parseJson } from "../../../core/json.ts";
import { readBoundedText } from "../../../protocol/io/bounded-body.ts";
import { servedFrom, type ServedDeclaration } from "../served-declaration.ts";

const GATEWAY_TIMEOUT_MS = 2000;
/** A declaration of ten thousand models is some megabytes. */
const ANSWER_LIMIT_MIB = 64;

/** What the running gateway serves; why that is not known when it cannot be asked, which is no reason not to plan. */
export async function readServed(
  url: string,
  { clock, apiKey }: { readonly clock: Clock; readonly apiKey?: string | undefined },
): Promise<ServedDeclaration> {
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  try {
    return await withDeadline({ clock, timeoutMs: GATEWAY_TIMEOUT_MS }, async (signal) => {
      const response = await request(`${url}/fleet`, { headers, signal });
      const text = await readBoundedText(response.body, ANSWER_LIMIT_MIB);
      return servedFrom({ url, status: response.statusCode, body: parseJson(text) });
    });
  } catch {
    return { gateway: url, served: undefined, remark: `no gateway answers at ${url}` };
  }
}
