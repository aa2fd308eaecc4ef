import { X509Certificate } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import type { TlsMaterial } from "../../platform/http-server.ts";
import { renewsAtMs, type CertificateFacts } from "../certificate-life.ts";
import { certificateFacts, signerAmong } from "../read-certificate.ts";
import { readIdentity, writePrivately, type Identity } from "./identity-file.ts";
import { fetchStanding, renewed } from "./join.ts";
import { repeat, type Repetition } from "./repeat.ts";
import { readRevocations } from "./x509.ts";

export interface MemberDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often the authority is asked what it has revoked, and whether it is time to renew. */
const LOOK_MS = 300_000;

/**
 * A bearer of a certificate: shows it, renews it in time, and knows which others are refused. Revocations are never
 * taken back, so the lists that come are joined: an old one does no harm, by whichever way it comes.
 */
export class Member {
  readonly #path: string;
  readonly #deps: MemberDeps;
  #identity: Identity;
  #facts: CertificateFacts;
  #revoked: ReadonlySet<string>;
  #onChange: (() => void)[] = [];
  #looking: Repetition | null = null;

  private constructor(
    path: string,
    known: { identity: Identity; revoked: readonly string[] },
    deps: MemberDeps,
  ) {
    this.#path = path;
    this.#deps = deps;
    this.#identity = known.identity;
    this.#facts = factsOf(known.identity);
    this.#revoked = new Set(known.revoked);
  }

  /** Null where this machine has not joined. Throws `identity_unusable`. */
  static async open(path: string, deps: MemberDeps): Promise<Member | null> {
    const identity = await readIdentity(path);
    if (identity === null) return null;
    const revoked = await readRevocations(identity.revocations, identity.authority);
    if (revoked === null) {
      throw new CortexError(
        "identity_unusable",
        `${path} holds a list of revocations that its authority has not signed`,
      );
    }
    return new Member(path, { identity, revoked }, deps);
  }

  get facts(): CertificateFacts {
    return this.#facts;
  }

  get tls(): TlsMaterial {
    const { key, certificate, authority } = this.#identity;
    return { key, cert: certificate, ca: authority };
  }

  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial);
  }

  /** Is called after a renewal and after news of revocations. */
  onChange(listener: () => void): void {
    this.#onChange.push(listener);
  }

  /** Throws `certificate_refused` for a list that the authority has not signed. */
  async takeRevocations(text: string): Promise<void> {
    const serials = await readRevocations(text, this.#identity.authority);
    if (serials === null) {
      throw new CortexError(
        "certificate_refused",
        "the list of revocations is not signed by this fleet's authority",
      );
    }
    const isNews = serials.some((serial) => !this.#revoked.has(serial));
    if (!isNews) return;
    this.#revoked = new Set([...this.#revoked, ...serials]);
    await this.#keep({ ...this.#identity, revocations: text });
  }

  /** By its age, or since the authority that signed it is not the one that signs now. */
  get isDue(): boolean {
    if (renewsAtMs(this.#facts) <= this.#deps.clock.nowMs()) return true;
    const { authority, certificate } = this.#identity;
    return signerAmong(authority, new X509Certificate(certificate)) > 0;
  }

  async renew(): Promise<void> {
    const next = await renewed(this.#identity, this.#deps.clock);
    this.#facts = factsOf(next);
    await this.#keep(next);
    await this.takeRevocations(next.revocations);
  }

  async #keep(identity: Identity): Promise<void> {
    this.#identity = identity;
    await writePrivately(this.#path, identity);
    for (const listener of this.#onChange) listener();
  }

  /** Looks at once and then from time to time, until closed. An authority that is away is asked again. */
  start(): void {
    this.#looking ??= repeat({ clock: this.#deps.clock, everyMs: LOOK_MS }, async () => {
      await this.#look();
      return "again";
    });
  }

  async #look(): Promise<void> {
    const { clock, logger } = this.#deps;
    try {
      const standing = this.isDue ? null : await fetchStanding(this.#identity, clock);
      const isExchanged = (standing?.authorities ?? this.#identity.authority) !== this.#identity.authority;
      if (standing === null || isExchanged) {
        await this.renew();
        logger.info({ until: new Date(this.#facts.notAfterMs).toISOString() }, "certificate renewed");
      } else {
        await this.takeRevocations(standing.revocations);
      }
    } catch (thrown) {
      const { code, message } = toCortexError(thrown);
      const until = new Date(this.#facts.notAfterMs).toISOString();
      const words = "the authority was not asked; the certificate is good until then";
      if (this.isDue) logger.warn({ code, reason: message, until }, words);
      else logger.debug({ code, reason: message, until }, words);
    }
  }

  /** Resolves when nothing is written to its file any more. */
  async close(): Promise<void> {
    await this.#looking?.stop();
  }
}

const factsOf = (identity: Identity): CertificateFacts =>
  certificateFacts(new X509Certificate(identity.certificate));
