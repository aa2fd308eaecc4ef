import { z } from "zod";
import { positiveInteger, seconds } from "./number-schemas.ts";

/** Where the gateway listens when the files do not say. */
export const DEFAULT_LISTEN = "127.0.0.1:31313";
export const DEFAULT_METRICS_LISTEN = "127.0.0.1:31314";

const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}$/, "must be host:port, such as 127.0.0.1:31313")
  .refine(
    (value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65_535,
    "must have a port up to 65535",
  );

export const gatewayLimitsSchema = z
  .strictObject({
    connections: positiveInteger.default(4096).describe("open connections; one more gets 503"),
    head_secs: seconds.default(15).describe("for the head of a request to come"),
    body_mb: positiveInteger
      .max(1024, "must be at most 1024")
      .default(32)
      .describe("largest request body in MiB, before and after it is inflated"),
    body_bytes_per_sec: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .default(1024)
      .describe("slowest pace of a request body, over 10 s; 0 = any"),
    first_byte_secs: seconds
      .default(300)
      .describe("for a neuron to begin a streamed answer; then the request moves to another copy"),
    silence_secs: seconds
      .default(300)
      .describe("longest pause of a neuron within an answer; then the answer ends in an error"),
    answer_secs: seconds
      .default(7200)
      .describe("for an answer that is not streamed: the neuron says nothing until it is whole"),
    stall_secs: seconds.default(60).describe("how long a client may read nothing of what waits for it"),
    keep_alive_secs: seconds
      .max(15, "must be at most 15: clients wait no longer")
      .default(10)
      .describe("between two events that keep a stream alive while its neuron is silent"),
    shutdown_secs: z
      .number()
      .nonnegative("must be 0 or more")
      .default(25)
      .describe("for answers to end after SIGTERM; what is left ends in an error event"),
  })
  .describe("how long the gateway waits for whom, and how much it takes");

export const gatewayTableSchema = z
  .strictObject({
    listen: listenAddress.default(DEFAULT_LISTEN).describe("where clients connect"),
    metrics_listen: listenAddress.default(DEFAULT_METRICS_LISTEN).describe("where Prometheus scrapes"),
    allow_anonymous: z
      .boolean()
      .default(false)
      .describe(
        "true: whoever reaches the gateway may use models without a key; needed to listen beyond this machine without any [[keys]]",
      ),
    hosts: z
      .array(
        z.string().regex(/^(?:\*|[a-z0-9_.-]+)$/, "must be a host name in lower case, without port, or *"),
      )
      .default([])
      .describe("names that clients call the gateway by, beside localhost and addresses; * = any")
      .meta({ examples: [["ai.example.com"]] }),
    origins: z
      .array(
        z
          .string()
          .regex(/^(?:\*|[a-z][a-z0-9+.-]*:\/\/[a-z0-9_.:[\]-]*)$/, "must be an origin such as https://chat.example.com, or *"),
      )
      .default([])
      .describe("web pages that may use the gateway from a browser (CORS); * = any")
      .meta({ examples: [["https://chat.example.com"]] }),
    queue_limit: positiveInteger
      .default(256)
      .describe("requests that may wait for one model; one more is refused at once"),
    queue_wait_secs: positiveInteger
      .default(300)
      .describe("how long a request may wait for a place or a load when its answer is not streamed"),
    queue_wait_stream_secs: positiveInteger
      .default(1800)
      .describe("the same for a streamed answer, whose client sees that work goes on"),
    load_linger_secs: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .default(120)
      .describe("how long a load goes on when every client that waited for it has left: clients come back"),
    limits: gatewayLimitsSchema.prefault({}),
  })
  .describe("the endpoint that clients talk to");

export type GatewayTable = Readonly<z.infer<typeof gatewayTableSchema>>;
