import { hash as digestOf, timingSafeEqual } from "node:crypto";
import { CortexError } from "../../core/errors.ts";
import { matchesPattern } from "../../fleet/schema/model-pattern.ts";
import type { KeyBlock } from "../../fleet/schema/fleet-schema.ts";

/** Whoever sends no key where none is asked for; usage counts under this name. No key can be called so: "<" is not a letter. */
export const ANONYMOUS_ID = "<anonymous>";

/** Who asks, and what the fleet files allow them. */
export interface Principal {
  readonly id: string;
  /** May read `/fleet`, usage and the like. */
  readonly admin: boolean;
  /** Patterns of ids and aliases. */
  readonly models: readonly string[];
  /** Null where nothing is limited. */
  readonly limits: KeyLimits | null;
}

export interface KeyLimits {
  readonly requestsPerMinute: number | null;
  readonly parallelRequests: number | null;
  /** Tokens that may be spent within the window; null: counted but not limited. */
  readonly tokens: { readonly hardCap: number; readonly windowMs: number | null } | null;
}

const EVERYTHING: readonly string[] = ["*"];

/** On a fleet without keys whoever reaches the gateway may do all; beside declared keys, only use models. */
const anonymous = (admin: boolean): Principal => ({
  id: ANONYMOUS_ID,
  admin,
  models: EVERYTHING,
  limits: null,
});

type HeaderBag = Readonly<Record<string, string | string[] | undefined>>;

/** What a connection has shown, and whose it was. */
interface Presented {
  readonly authorization: string | string[] | undefined;
  readonly apiKey: string | string[] | undefined;
  readonly principal: Principal;
}

interface KnownKey {
  readonly hash: Buffer;
  readonly principal: Principal;
}

/**
 * The declared keys, looked up by the hash of what a client presents.
 *
 * A hash is looked for by its first two bytes, and then compared in constant time with each that begins so. How long
 * it takes tells at most sixteen bits of a SHA-256, and nothing of any secret.
 */
export class KeyRing {
  readonly #known = new Map<number, KnownKey[]>();
  #anonymous: Principal | null = null;
  #principals: readonly Principal[] = [];
  /** By connection. */
  #presented = new WeakMap<object, Presented>();

  constructor(keys: readonly KeyBlock[], options: { readonly allowAnonymous: boolean }) {
    this.declare(keys, options);
  }

  get principals(): readonly Principal[] {
    return this.#principals;
  }

  /** These keys, and no others, from now on. */
  declare(keys: readonly KeyBlock[], options: { readonly allowAnonymous: boolean }): void {
    const principals = keys.map(principalOf);
    const open = keys.length === 0;
    this.#principals = principals;
    this.#anonymous = open || options.allowAnonymous ? anonymous(open) : null;
    this.#known.clear();
    this.#presented = new WeakMap();
    for (const [index, key] of keys.entries()) {
      const principal = principals[index] ?? principalOf(key);
      const hash = Buffer.from(key.hash.slice("sha256:".length), "hex");
      const beginning = hash.readUInt16BE();
      this.#known.set(beginning, [...(this.#known.get(beginning) ?? []), { hash, principal }]);
    }
  }

  /**
   * The same for a request of a connection. What came last on this very connection is compared as it is, which tells its
   * sender nothing that it does not know, and spares a hash for each request after the first.
   */
  identifyOn(connection: object, headers: HeaderBag): Principal {
    const { authorization, "x-api-key": apiKey } = headers;
    const last = this.#presented.get(connection);
    if (last !== undefined && last.authorization === authorization && last.apiKey === apiKey) {
      return last.principal;
    }
    const principal = this.identify(headers);
    this.#presented.set(connection, { authorization, apiKey, principal });
    return principal;
  }

  /** Throws `unauthorized` for no key where one is needed, and for one that nobody declared. */
  identify(headers: HeaderBag): Principal {
    if (this.#known.size === 0 && this.#anonymous !== null) return this.#anonymous;
    const secrets = presentedSecrets(headers);
    for (const secret of secrets) {
      const principal = this.#find(secret);
      if (principal !== null) return principal;
    }
    // A client library sends some key always: an unknown one is no more than none.
    if (this.#anonymous !== null) return this.#anonymous;
    throw secrets.length === 0
      ? new CortexError("unauthorized", "this endpoint asks for a key and the request has none", {
          next: "send Authorization: Bearer <key>, or x-api-key: <key>",
        })
      : new CortexError("unauthorized", "the key of this request is not one of this fleet's", {
          next: "check the key, or ask whoever runs the fleet for one (`cortex key create`)",
        });
  }

  #find(secret: string): Principal | null {
    const hash = digestOf("sha256", secret, "buffer");
    let found: Principal | null = null;
    for (const known of this.#known.get(hash.readUInt16BE()) ?? []) {
      if (timingSafeEqual(known.hash, hash)) found = known.principal;
    }
    return found;
  }
}

/** What is written into a key's block for this secret. */
export const hashOfSecret = (secret: string): string => `sha256:${digestOf("sha256", secret, "hex")}`;

/** In the order in which they are tried: clients of Anthropic's API send `x-api-key`, some send both. */
function presentedSecrets(headers: HeaderBag): string[] {
  const secrets: string[] = [];
  const { authorization } = headers;
  const bearer =
    typeof authorization === "string" ? /^bearer\s+(\S+)\s*$/i.exec(authorization)?.[1] : undefined;
  if (bearer !== undefined) secrets.push(bearer);
  const apiKey = headers["x-api-key"];
  if (typeof apiKey === "string" && apiKey.trim() !== "") secrets.push(apiKey.trim());
  return secrets;
}

function principalOf(key: KeyBlock): Principal {
  const tokens =
    key.hard_cap === undefined
      ? null
      : {
          hardCap: key.hard_cap,
          windowMs: key.window.kind === "rolling" ? key.window.seconds * 1000 : null,
        };
  const requestsPerMinute = key.requests_per_minute ?? null;
  const parallelRequests = key.parallel_requests ?? null;
  const limited = tokens !== null || requestsPerMinute !== null || parallelRequests !== null;
  return {
    id: key.id,
    admin: key.role === "admin",
    models: key.models,
    limits: limited ? { requestsPerMinute, parallelRequests, tokens } : null,
  };
}

/** A model is allowed by any of its names: the one that was asked for, or the id that it stands for. */
export const mayUse = (principal: Principal, names: readonly string[]): boolean =>
  principal.models === EVERYTHING ||
  principal.models.some((pattern) => names.some((name) => matchesPattern(pattern, name)));

export const modelNotAllowed = ({ id, models }: Principal, model: string): CortexError =>
  new CortexError("model_not_allowed", `the key ${id} does not cover ${model}`, {
    param: "model",
    details: { key: id, allowed_models: models },
    next: `ask for one of ${models.join(", ")}, or add the model to the key's \`models\` in the fleet files`,
  });

/** Throws `admin_required` for what tells of, or changes, the whole fleet. */
export function requireAdmin(principal: Principal): void {
  if (principal.admin) return;
  const message =
    principal.id === ANONYMOUS_ID
      ? "this route needs a key with the admin role"
      : `the key ${principal.id} has no admin role, which this route needs`;
  throw new CortexError("admin_required", message, { details: { key: principal.id } });
}
