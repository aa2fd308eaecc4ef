import { randomBytes } from "node:crypto";
import { SpanKind, SpanStatusCode, type HrTime, type SpanContext } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, resourceFromAttributes, type Resource } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan } from "@opentelemetry/sdk-trace";
import type { DrawnSpan, SpanKindName, SpanRoot } from "../core/drawn-span.ts";

const KINDS: Readonly<Record<SpanKindName, SpanKind>> = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
};
const SCOPE = { name: "cortex" };
const NOTHING = {
  links: [],
  events: [],
  ended: true,
  droppedAttributesCount: 0,
  droppedEventsCount: 0,
  droppedLinksCount: 0,
} as const;

interface SpanExporterOptions {
  /** In the place of what the environment says. */
  readonly url: string | undefined;
  /** Under which name, where the environment has none. */
  readonly serviceName: string;
  readonly packageVersion: string;
  /** Which of several processes of the service. */
  readonly worker?: number | undefined;
}

export interface SpanExporter {
  send(spans: readonly DrawnSpan[], root: SpanRoot): void;
  close(): Promise<void>;
}

/**
 * Sends spans by OTLP over HTTP, in batches, beside the requests; where the collector is away they are dropped. Where
 * to, with which headers and under which name is in the `OTEL_*` variables, which the exporter reads itself.
 */
export function createSpanExporter(options: SpanExporterOptions): SpanExporter {
  const { url, serviceName, packageVersion, worker } = options;
  const exporter = new OTLPTraceExporter(url === undefined ? {} : { url });
  const processor = new BatchSpanProcessor({ exporter });
  const named = {
    "service.name": serviceName,
    "service.version": packageVersion,
    ...(worker === undefined ? {} : { "cortex.worker": worker }),
  };
  // What the environment says goes before.
  const resource = resourceFromAttributes(named).merge(withoutDefaultName(defaultResource()));
  return {
    send: (spans, root) => {
      for (const span of readableSpans(spans, root, resource)) processor.onEnd(span);
    },
    close: async () => {
      await processor.shutdown().catch(() => undefined);
    },
  };
}

/** "unknown_service:node" says less than our own. */
function withoutDefaultName(resource: Resource): Resource {
  const { "service.name": name, ...rest } = resource.attributes;
  const isChosen = typeof name === "string" && !name.startsWith("unknown_service");
  return resourceFromAttributes(isChosen ? { ...rest, "service.name": name } : rest);
}

function readableSpans(
  drawn: readonly DrawnSpan[],
  { traceId, parentSpanId }: SpanRoot,
  resource: Resource,
): ReadableSpan[] {
  const contextOf = (spanId: string): SpanContext => ({ traceId, spanId, traceFlags: 1 });
  const contexts = drawn.map(({ spanId }) => contextOf(spanId ?? randomBytes(8).toString("hex")));
  const parentOf = ({ parent }: DrawnSpan): SpanContext | undefined => {
    if (parent !== null) return contexts[parent];
    return parentSpanId === undefined ? undefined : { ...contextOf(parentSpanId), isRemote: true };
  };
  return drawn.map((span, index): ReadableSpan => {
    const context = contexts[index] ?? contextOf(randomBytes(8).toString("hex"));
    const parentSpanContext = parentOf(span);
    const { errorCode, attributes } = span;
    return {
      ...NOTHING,
      links: [],
      events: [],
      name: span.name,
      kind: KINDS[span.kind],
      spanContext: () => context,
      ...(parentSpanContext === undefined ? {} : { parentSpanContext }),
      startTime: timeOf(span.startedAtMs),
      endTime: timeOf(span.endedAtMs),
      duration: timeOf(Math.max(0, span.endedAtMs - span.startedAtMs)),
      status:
        errorCode === undefined
          ? { code: SpanStatusCode.UNSET }
          : { code: SpanStatusCode.ERROR, message: errorCode },
      attributes: errorCode === undefined ? attributes : { ...attributes, "error.type": errorCode },
      resource,
      instrumentationScope: SCOPE,
    };
  });
}

/** Seconds and nanoseconds. */
function timeOf(ms: number): HrTime {
  const secs = Math.floor(ms / 1000);
  return [secs, Math.floor((ms - secs * 1000) * 1e6)];
}
