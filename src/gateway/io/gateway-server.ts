import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { MIB_BYTES } from "../../core/quantities.ts";
import { DIALECT_ROUTES } from "../dialect/dialect-routes.ts";
import { Doorway } from "../front/io/doorway.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { RequestRate } from "../request-rate.ts";
import { answerOtherMethods, createClientEdge, decoratePrincipal, identify } from "./client-edge.ts";
import {
  enterInference,
  inferenceAtDoor,
  inferenceInFront,
  inferenceRoutes,
  rawRequest,
  routeFinder,
  type InferenceEntryDeps,
  type InferenceRoute,
} from "./inference-entry.ts";
import { unknownModel } from "./read-routes.ts";
import type { Stopping } from "./stopping.ts";

export interface GatewayServerDeps
  extends Omit<InferenceEntryDeps, "identify" | "unknownModel">, Omit<Stopping, "refuseNewWork"> {
  readonly keys: KeyRing;
  readonly connectionsRefused: RequestRate;
}

/** The server with the routes that ask models; `registerReads` adds all others. */
export function createGatewayServer(
  deps: GatewayServerDeps,
  registerReads: (server: FastifyInstance) => void,
): FastifyInstance {
  const entry: InferenceEntryDeps = {
    ...deps,
    identify: ({ socket, headers }) => deps.keys.identifyOn(socket, headers),
    unknownModel,
  };
  const routes = inferenceRoutes(DIALECT_ROUTES);
  const routeOf = routeFinder(routes);
  const server = createClientEdge(deps, {
    identify: (request) => {
      identify(request, deps.keys);
    },
    inFront: inferenceInFront(routeOf, entry),
    door: new Doorway({
      clock: deps.clock,
      isClosing: deps.closing,
      serve: inferenceAtDoor(routeOf, entry),
    }),
  });
  decoratePrincipal(server);
  registerReads(server);
  for (const route of routes) {
    registerInference(server, route, entry);
    answerOtherMethods(server, route.path, { allowed: "POST", deps });
  }
  return server;
}

/** What did not come in front: under a name with escapes, or at a second address of "localhost". */
function registerInference(server: FastifyInstance, route: InferenceRoute, entry: InferenceEntryDeps): void {
  const onRequest = ({ raw: request }: FastifyRequest, reply: FastifyReply) => {
    reply.hijack();
    void enterInference(rawRequest(request, reply.raw), route, entry);
  };
  server.post(route.path, { onRequest }, () => {
    throw new Error("a request was taken, and came nevertheless");
  });
}

/** Answers that clients go on from by their id: an hour after the last time, and no more memory than a few requests take. */
export const SHELF_LIMITS = { mostBytes: 64 * MIB_BYTES, mostBytesOfOne: 16 * MIB_BYTES, ttlMs: 3_600_000 };
