import { X509Certificate } from "node:crypto";
import { stat } from "node:fs/promises";
import type { Clock } from "../../core/clock.ts";
import type { TlsMaterial } from "../../platform/http-server.ts";
import { renewsAtMs } from "../certificate-life.ts";
import { certificateFacts } from "../read-certificate.ts";
import type { Authority } from "./authority.ts";
import type { Bearer } from "./bearer.ts";
import { repeat } from "./repeat.ts";

interface Place {
  /** Of the records of members. */
  readonly directory: string;
  readonly clock: Clock;
}

const LOOK_MS = 1000;

/** The operator's own programs beside the authority: it signs for them as they need it, and its records say who is revoked. */
export class IssuedCertificates implements Bearer {
  readonly #authority: Authority;
  readonly #place: Place;
  #revoked: ReadonlySet<string>;
  #shown: TlsMaterial;
  #renewsAtMs: number;
  #seen = 0;

  private constructor(
    authority: Authority,
    place: Place,
    first: Shown & { readonly revoked: ReadonlySet<string> },
  ) {
    this.#authority = authority;
    this.#place = place;
    this.#revoked = first.revoked;
    this.#shown = first.tls;
    this.#renewsAtMs = first.renewsAtMs;
  }

  static async open(authority: Authority, place: Place): Promise<IssuedCertificates> {
    const [shown, revoked] = await Promise.all([showable(authority), revokedBy(authority)]);
    return new IssuedCertificates(authority, place, { ...shown, revoked });
  }

  get shown(): TlsMaterial {
    return this.#shown;
  }

  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial);
  }

  follow(changed: () => void): () => void {
    const looking = repeat({ clock: this.#place.clock, everyMs: LOOK_MS }, async () => {
      await this.#look(changed).catch(() => undefined);
      return "again";
    });
    return () => void looking.stop();
  }

  async #look(changed: () => void): Promise<void> {
    const isExchanged = await this.#authority.reload();
    if (isExchanged || this.#renewsAtMs <= this.#place.clock.nowMs()) {
      const { tls, renewsAtMs: nextMs } = await showable(this.#authority);
      this.#shown = tls;
      this.#renewsAtMs = nextMs;
    }
    // A record is changed by a new file in the old one's place, which the time of the folder tells.
    const { mtimeMs } = await stat(this.#place.directory);
    if (mtimeMs === this.#seen) return;
    this.#revoked = await revokedBy(this.#authority);
    this.#seen = mtimeMs;
    changed();
  }
}

interface Shown {
  readonly tls: TlsMaterial;
  readonly renewsAtMs: number;
}

async function showable(authority: Authority): Promise<Shown> {
  const { key, certificate } = await authority.credentials("control");
  const facts = certificateFacts(new X509Certificate(certificate));
  return { tls: { key, cert: certificate, ca: authority.trusted }, renewsAtMs: renewsAtMs(facts) };
}

async function revokedBy(authority: Authority): Promise<ReadonlySet<string>> {
  const members = await authority.members();
  return new Set(members.flatMap((one) => (one.revoked_at_ms === null ? [] : one.serial)));
}
