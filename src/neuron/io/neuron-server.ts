import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodType } from "zod";
import type { Clock } from "../../core/clock.ts";
import { assertNever } from "../../core/assert-never.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { present } from "../../core/present.ts";
import { changeCertificate, createHttpServer, parseJsonBody } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { isForm } from "../../protocol/openai/form-body.ts";
import { MEDIA_ROUTES } from "../../protocol/openai/media-routes.ts";
import { REVOCATIONS_PATH, revocationsSchema } from "../../protocol/trust/join-exchange.ts";
import type { Member } from "../../trust/io/member.ts";
import { FLEET_NAME } from "../../protocol/refs/neuron-lease.ts";
import { failureOnTheWire } from "../../protocol/neuron-failure.ts";
import { INFERENCE_ROUTES } from "../../protocol/openai/inference-routes.ts";
import {
  estimateRequestSchema,
  loadRequestSchema,
  swapRequestSchema,
  unloadRequestSchema,
  type ChangeResponse,
  type Discovery,
  type EstimateResponse,
  type Health,
  type Job,
  type ModelFact,
  type ModelSpec,
  type Version,
} from "../../protocol/neuron-api.ts";
import type { EventFeed } from "../events/io/event-feed.ts";
import {
  describeHealth,
  describeModels,
  describeResident,
  withoutLost,
} from "../residency/describe-residency.ts";
import type { RestoredModel } from "../residency/assignment.ts";
import type { Estimator } from "../residency/io/estimator.ts";
import { jobFailure } from "../residency/job-history.ts";
import type { ChangeAnswer, ChangeCondition } from "../residency/residency-state.ts";
import type { GpuProbe } from "../machine/io/gpu-probe.ts";
import { checkCaller, type CallerRules } from "./check-caller.ts";
import { CrashWatch } from "./crash-watch.ts";
import type { Vocabularies } from "../launch/io/vocabularies.ts";
import { addLeaseRoutes } from "./lease-routes.ts";
import type { LeaseRegister } from "../residency/io/lease-register.ts";
import type { SuspectFile } from "./suspect-file.ts";
import type { AnswerTracing } from "./answer-tracing.ts";
import { createInferenceRelay } from "./inference-relay.ts";
import type { NeuronMetrics } from "./neuron-metrics.ts";
import type { ResidencyLoop } from "../residency/io/residency-loop.ts";

export interface NeuronServerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly loop: ResidencyLoop;
  readonly probe: GpuProbe;
  readonly metrics: NeuronMetrics;
  readonly feed: EventFeed;
  readonly estimator: Estimator;
  readonly suspectFile: SuspectFile;
  readonly leases: LeaseRegister;
  readonly vocabularies: Vocabularies;
  /** What is known of models by past loads. */
  readonly facts: () => ModelFact[];
  readonly startedMs: number;
  /** What was there before the start. */
  readonly restored: readonly RestoredModel[];
  /** With a certificate the server speaks TLS alone. */
  readonly callers: CallerRules;
  /** Null where no collector is named. */
  readonly tracing: AnswerTracing | null;
  readonly version: Version;
  /** Resolves once the devices are known: the server is bound before that. */
  readonly discovery: Promise<Discovery>;
}

const ROUTES_HINT =
  "a neuron tells of itself at GET /version, /discovery, /health, /models, /jobs, /events and /metrics, is changed by POST /models/load, /models/unload and /models/swap, and answers under /v1";

/** The neuron's HTTP API; handlers translate between the wire and the residency loop and decide nothing. */
export function createNeuronServer(deps: NeuronServerDeps): FastifyInstance {
  const { logger, callers } = deps;
  const { member } = callers;
  const server = createHttpServer({
    logger,
    errorResponse: toErrorResponse,
    tls: member?.tls,
    routesHint: ROUTES_HINT,
  });
  member?.onChange(() => {
    changeCertificate(server, member.tls);
  });
  server.addHook("onRequest", (request, _reply, done) => {
    checkCaller(request, deps.callers, deps.clock);
    done();
  });
  addDescriptionRoutes(server, deps);
  addChangeRoutes(server, deps);
  addJobRoutes(server, deps);
  server.post(REVOCATIONS_PATH, (request) => takeRevocations(member, request));
  addLeaseRoutes(server, deps);
  const relay = createInferenceRelay({
    clock: deps.clock,
    logger: deps.logger,
    loop: deps.loop,
    crashes: new CrashWatch(deps),
    vocabularies: deps.vocabularies,
    tracing: deps.tracing,
    countRequest: (model, outcome) => {
      deps.metrics.countRequest(model, outcome);
    },
  });
  for (const route of [...INFERENCE_ROUTES, ...MEDIA_ROUTES.keys()]) {
    server.post(route, async (request, reply) => {
      if (!(MEDIA_ROUTES.has(route) && isForm(request.headers["content-type"]))) requireJson(request);
      // Workers of the neuron before this one are known from then on.
      await deps.discovery;
      await relay(request, reply);
    });
  }
  return server;
}

async function takeRevocations(
  member: Member | undefined,
  request: FastifyRequest,
): Promise<{ readonly status: string }> {
  const { revocations } = readBody(request, revocationsSchema);
  if (member === undefined) {
    throw new CortexError(
      "certificate_refused",
      "this neuron has no certificate: its machine has not joined",
    );
  }
  await member.takeRevocations(revocations);
  return { status: "ok" };
}

function requireJson(request: FastifyRequest): void {
  const type = request.headers["content-type"] ?? "";
  if (/^application\/json\s*(;|$)/i.test(type)) return;
  throw new CortexError(
    "unsupported_media_type",
    `the body must be JSON, not ${type === "" ? "untyped" : type}`,
  );
}

function readBody<Output>(request: FastifyRequest, schema: ZodType<Output>): Output {
  requireJson(request);
  const parsed = schema.safeParse(parseJsonBody(request.body) ?? {});
  if (parsed.success) return parsed.data;
  const issue = present(parsed.error.issues[0], "an issue of a body that is refused");
  const param = issue.path.join(".");
  throw new CortexError("invalid_request_body", `${param === "" ? "body" : param}: ${issue.message}`, {
    param,
  });
}

function addDescriptionRoutes(server: FastifyInstance, deps: NeuronServerDeps): void {
  const { loop, clock, probe, metrics, feed, startedMs } = deps;
  server.get("/version", () => deps.version);
  server.get("/discovery", async () => ({
    ...withoutLost(await deps.discovery, loop.state.ledger),
    facts: deps.facts(),
  }));
  server.get("/health", async (): Promise<Health> => {
    const readings = await probe.readings();
    const uptimeMs = clock.monotonicMs() - startedMs;
    return {
      ...describeHealth(loop.state, { readings, uptimeMs, restored: deps.restored }),
      event_id: feed.lastId,
    };
  });
  server.get("/models", async (_request, reply) => {
    await deps.discovery;
    tagGeneration(reply, loop);
    return { ...describeModels(loop.state), event_id: feed.lastId };
  });
  server.get("/events", { exposeHeadRoute: false }, async (request, reply) => {
    await feed.started;
    feed.requireRoom();
    const resumed = request.headers["last-event-id"];
    reply.hijack();
    await feed.follow(reply.raw, typeof resumed === "string" ? resumed : undefined);
  });
  server.get<{ Params: { id: string } }>("/models/:id", (request, reply) => {
    const resident = loop.state.models.get(request.params.id);
    if (resident === undefined)
      throw new CortexError("model_not_found", `${request.params.id} is not loaded here`, {
        next: "GET /models lists what is loaded",
      });
    tagGeneration(reply, loop);
    return describeResident(loop.state, resident);
  });
  server.get("/metrics", async (_request, reply) => {
    reply.type(metrics.contentType);
    return metrics.render();
  });
}

const tagGeneration = (reply: FastifyReply, loop: ResidencyLoop): void => {
  void reply.header("etag", `"${loop.state.generation}"`);
};

function addChangeRoutes(server: FastifyInstance, deps: NeuronServerDeps): void {
  const { loop } = deps;
  server.post("/models/load", async (request, reply) => {
    const body = readBody(request, loadRequestSchema);
    const condition = changeCondition(request);
    requireHarness(await deps.discovery, body.harness);
    const answer = await loop.load(body, condition);
    return answerChange(loop, { request, reply, doneStatus: "loaded" }, answer);
  });
  server.post("/models/estimate", (request) =>
    estimateAll(deps, readBody(request, estimateRequestSchema).models),
  );
  server.post("/models/swap", async (request, reply) => {
    const body = readBody(request, swapRequestSchema);
    const condition = changeCondition(request);
    requireHarness(await deps.discovery, body.load.harness);
    const answer = await loop.swap(body, condition);
    return answerChange(loop, { request, reply, doneStatus: "loaded" }, answer);
  });
  server.post("/models/unload", async (request, reply) => {
    const body = readBody(request, unloadRequestSchema);
    const condition = changeCondition(request);
    await deps.discovery;
    const answer = await loop.unload(body, condition);
    return answerChange(loop, { request, reply, doneStatus: "unloaded" }, answer);
  });
  server.post("/drain", () => {
    loop.dispatch({ kind: "drain-requested" });
    return { status: "draining" };
  });
  server.post("/resume", () => {
    loop.dispatch({ kind: "resume-requested" });
    return { status: loop.state.mode === "open" ? "ok" : "draining" };
  });
}

async function estimateAll(deps: NeuronServerDeps, specs: readonly ModelSpec[]): Promise<EstimateResponse> {
  await deps.discovery;
  return { estimates: await Promise.all(specs.map((spec) => estimateOne(deps, spec))) };
}

async function estimateOne(
  { estimator, loop, discovery, logger }: NeuronServerDeps,
  spec: ModelSpec,
): Promise<EstimateResponse["estimates"][number]> {
  try {
    requireHarness(await discovery, spec.harness);
    return await estimator.estimate(spec, loop.state.ledger);
  } catch (thrown) {
    const failure = toCortexError(thrown);
    if (failure.code === "internal_error") logger.error({ err: thrown, model: spec.model_id }, "no estimate");
    return { model_id: spec.model_id, error: failureOnTheWire(failure) };
  }
}

function requireHarness(discovery: Discovery, harness: string): void {
  const { harnesses, engine_unavailable_reason: missing } = discovery;
  if (harnesses.includes(harness)) return;
  if (harness === "llama" && missing !== undefined) {
    throw new CortexError("engine_missing", missing);
  }
  const message = `this neuron offers the harness ${harnesses.join(", ")}, not ${harness}`;
  throw new CortexError("source_unsupported", message, { param: "harness" });
}

const changeCondition = (request: FastifyRequest): ChangeCondition => ({
  ifMatch: expectedGeneration(request),
  epoch: sentEpoch(request),
  fleet: sentFleet(request),
});

/** `Cortex-Fleet: <name>`, whose epoch it is; an apply of an older cortex does not say. */
function sentFleet(request: FastifyRequest): string | undefined {
  const header = request.headers["cortex-fleet"];
  if (header === undefined) return undefined;
  if (FLEET_NAME.test(String(header))) return String(header);
  throw new CortexError("invalid_request_body", `Cortex-Fleet: ${String(header)} is no name of a fleet`, {
    param: "Cortex-Fleet",
  });
}

/** `Cortex-Epoch: <n>`, which an apply sends; absence means a caller that is no apply. */
function sentEpoch(request: FastifyRequest): number | null {
  const header = request.headers["cortex-epoch"];
  if (header === undefined) return null;
  const text = String(header).trim();
  const epoch = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(epoch)) return epoch;
  throw new CortexError("invalid_request_body", `Cortex-Epoch: ${text} is not a whole number`, {
    param: "Cortex-Epoch",
  });
}

/** `If-Match: "<generation>"`; `*` and absence mean any. */
function expectedGeneration(request: FastifyRequest): number | null {
  const header = request.headers["if-match"];
  if (header === undefined || header.trim() === "*") return null;
  const digits = /^(?:W\/)?"?(\d+)"?$/.exec(header.trim())?.[1];
  if (digits !== undefined) return Number(digits);
  throw new CortexError("invalid_request_body", `If-Match: ${header} is not a generation`, {
    param: "If-Match",
  });
}

interface ChangeExchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly doneStatus: "loaded" | "unloaded";
}

async function answerChange(
  loop: ResidencyLoop,
  { request, reply, doneStatus }: ChangeExchange,
  answer: ChangeAnswer,
): Promise<ChangeResponse> {
  switch (answer.kind) {
    case "refused":
      tagGeneration(reply, loop);
      throw answer.failure;
    case "nothing-to-do":
      tagGeneration(reply, loop);
      return { status: doneStatus, job: null };
    case "job": {
      void reply.header("location", `/jobs/${answer.jobId}`);
      if (!wantsToWait(request)) {
        tagGeneration(reply, loop);
        void reply.status(202);
        return { status: "pending", job: findJob(loop, answer.jobId) };
      }
      const job = await loop.jobEnd(answer.jobId, whenClientLeaves(reply));
      tagGeneration(reply, loop);
      const failure = jobFailure(job);
      if (failure !== null) throw failure;
      return { status: doneStatus, job };
    }
    default:
      return assertNever(answer);
  }
}

function wantsToWait(request: FastifyRequest): boolean {
  const { wait } = request.query as { readonly wait?: string };
  return wait !== undefined && !["0", "false", "no"].includes(wait);
}

/** Only the waiting ends with the caller; the change itself goes on. */
function whenClientLeaves(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    controller.abort();
  });
  return controller.signal;
}

function findJob(loop: ResidencyLoop, jobId: string): Job {
  const job = loop.state.jobs.get(jobId);
  if (job === undefined) throw new CortexError("job_not_found", `there is no job ${jobId}`);
  return job;
}

function addJobRoutes(server: FastifyInstance, { loop }: NeuronServerDeps): void {
  type WithId = { Params: { id: string } };
  server.get("/jobs", () => ({ jobs: [...loop.state.jobs.values()].reverse() }));
  server.get<WithId>("/jobs/:id", (request) => findJob(loop, request.params.id));
  server.delete<WithId>("/jobs/:id", (request) => {
    const { unless_joined: unlessJoined } = request.query as { readonly unless_joined?: string };
    const answer = loop.cancelJob(request.params.id, { unlessJoined: unlessJoined !== undefined });
    if (answer.kind === "refused") throw answer.failure;
    return findJob(loop, request.params.id);
  });
}
