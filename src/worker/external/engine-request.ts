import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import { BodyScan, type Span } from "../../protocol/openai/body-scan.ts";
import { isForm, modelSpansOfForm } from "../../protocol/openai/form-body.ts";
import { replaceBytes, replaceValues } from "../../protocol/openai/replace-values.ts";

export interface EngineRequest {
  readonly body: Buffer;
  readonly isStream: boolean;
  /** The usage at the end of the stream was asked for here: the client has not, and does not get it. */
  readonly usageIsOurs: boolean;
}

export interface RequestMapping {
  /** What the engine calls the model; null where it is the name that clients use. */
  readonly servedAs: string | null;
  /** Whether the engine takes `stream_options`. */
  readonly asksUsage: boolean;
}

/**
 * A client's body as the engine is sent it: with its own name for the model, and asking for the usage of a stream, which
 * is counted on the way. Every other byte stays as the client wrote it. Throws `malformed_json`.
 */
export function toEngineRequest(body: Buffer, mapping: RequestMapping): EngineRequest {
  const scan = new BodyScan(body);
  scan.advance(Infinity);
  const { fields } = scan;
  if (!fields.isObject) throw new CortexError("malformed_json", "the request body is not a JSON object");
  const isStream = fields.stream !== null && valueAt(body, fields.stream) === true;
  const options = fields.stream_options === null ? null : valueAt(body, fields.stream_options);
  const clientAsks = isRecord(options) && options["include_usage"] === true;
  const usageIsOurs = isStream && !clientAsks && mapping.asksUsage;
  // From the end to the start, so that the places found in the body stay true.
  let bytes = body;
  if (usageIsOurs) {
    const wanted = { ...(isRecord(options) ? options : {}), include_usage: true };
    bytes =
      fields.stream_options === null
        ? withMember(bytes, "stream_options", wanted)
        : replaceValues(bytes, [fields.stream_options], wanted);
  }
  if (mapping.servedAs !== null) {
    const { fields: moved } = usageIsOurs ? rescanned(bytes) : { fields };
    bytes = replaceValues(bytes, moved.models, mapping.servedAs);
  }
  return { body: bytes, isStream, usageIsOurs };
}

function rescanned(body: Buffer): BodyScan {
  const scan = new BodyScan(body);
  scan.advance(Infinity);
  return scan;
}

const valueAt = (body: Buffer, { start, end }: Span): unknown => parseJson(body.toString("utf8", start, end));

/** Behind the last member of an object that has one at least: `model` is there, or nobody would be asked. */
function withMember(body: Buffer, key: string, value: unknown): Buffer {
  const end = body.lastIndexOf("}");
  const member = Buffer.from(`,${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return Buffer.concat([body.subarray(0, end), member, body.subarray(end)]);
}

/** A request for pictures or sounds, with the engine's own name for the model: a form, or JSON. Throws what reading it throws. */
export function toMediaRequest(
  body: Buffer,
  { servedAs, contentType }: { readonly servedAs: string | null; readonly contentType: string | undefined },
): Buffer {
  if (servedAs === null) return body;
  if (isForm(contentType))
    return replaceBytes(body, modelSpansOfForm(body, contentType), Buffer.from(servedAs));
  return replaceValues(body, rescanned(body).fields.models, servedAs);
}
