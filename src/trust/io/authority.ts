import { createHash, randomBytes, timingSafeEqual, verify, X509Certificate } from "node:crypto";
import { mkdir, readdir, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { CortexError, systemErrorCode } from "../../core/errors.ts";
import { parseHostAndPort, type HostAndPort } from "../../core/addresses.ts";
import type { Clock } from "../../core/clock.ts";
import { by } from "../../core/order.ts";
import {
  memberRoleSchema,
  type CertificateResponse,
  type JoinRequest,
  type MemberRole,
  type RenewRequest,
} from "../../protocol/trust/join-exchange.ts";
import { MEMBER_LIFE_MS, type CertificateFacts } from "../certificate-life.ts";
import type { JoinToken } from "../join-token.ts";
import { authoritiesOf, certificateFacts, fingerprintOf, signerAmong } from "../read-certificate.ts";
import { memberRecordSchema, type MemberRecord } from "../member-record.ts";
import { authorityDirectory } from "../places.ts";
import { readPrivately, writePrivately } from "./identity-file.ts";
import {
  issueFor,
  issueWithKey,
  makeAuthority,
  makeRevocations,
  readSigner,
  type KeyAndCertificate,
  type Signer,
} from "./x509.ts";

const signingSchema = z.object({ key: z.string(), certificate: z.string() });
const keptSchema = signingSchema.extend({
  address: z.string(),
  /** Is made known, and signs nothing yet. */
  next: signingSchema.optional(),
  /** Signs nothing but for this authority's own server, and is trusted until it is retired. */
  former: signingSchema.optional(),
});
type Kept = z.output<typeof keptSchema>;

const invitationSchema = z.object({
  name: z.string(),
  role: memberRoleSchema,
  secret_sha256: z.string(),
  expires_at_ms: z.number(),
});

export interface Invitation {
  readonly token: JoinToken;
  readonly expiresAtMs: number;
}

/**
 * The fleet's own certificate authority: a key in a directory of the operator, which signs for whoever takes up an
 * invitation. Several programs may have it open at once, since each fact is a file of its own: an invitation is
 * taken up by whoever removes its file, and a revocation is read anew each time.
 */
export class Authority {
  readonly #directory: string;
  readonly #clock: Clock;
  #kept: Kept;
  #signer: Signer;

  private constructor(
    place: { readonly directory: string; readonly clock: Clock },
    { kept, signer }: { readonly kept: Kept; readonly signer: Signer },
  ) {
    this.#directory = place.directory;
    this.#clock = place.clock;
    this.#kept = kept;
    this.#signer = signer;
  }

  /** The one that signs now. */
  get certificate(): string {
    return this.#kept.certificate;
  }

  get address(): HostAndPort {
    return parseHostAndPort(this.#kept.address);
  }

  /** All that are trusted, the one that signs now first. */
  get trusted(): string {
    const { certificate, next, former } = this.#kept;
    return [certificate, next?.certificate, former?.certificate]
      .flatMap((pem) => pem?.trim() ?? [])
      .join("\n");
  }

  get exchange(): Exchange {
    if (this.#kept.next !== undefined) return "introduced";
    return this.#kept.former === undefined ? "none" : "switched";
  }

  /** Another program may have exchanged it: true when it is another one now. */
  async reload(): Promise<boolean> {
    const kept = keptSchema.safeParse(await readPrivately(fileOf(this.#directory)));
    if (!kept.success || JSON.stringify(kept.data) === JSON.stringify(this.#kept)) return false;
    this.#signer = await readSigner(kept.data);
    this.#kept = kept.data;
    return true;
  }

  /**
   * The next step of an exchange, each of which leaves everybody who has made the one before with whom they trust: a new
   * authority is made known, then signs, then the old one is retired.
   */
  async exchangeOn(): Promise<Exchange> {
    await this.reload();
    const { next, address, key, certificate } = this.#kept;
    const present = { key, certificate };
    const steps = {
      none: async (): Promise<Kept> => ({
        ...present,
        address,
        next: await makeAuthority(this.#clock.nowMs()),
      }),
      introduced: (): Kept => ({ ...(next ?? present), address, former: present }),
      switched: (): Kept => ({ ...present, address }),
    };
    await writePrivately(fileOf(this.#directory), await steps[this.exchange]());
    await this.reload();
    return this.exchange;
  }

  /** Whose latest certificate says that its bearer has not made the present step of an exchange yet. */
  async awaited(): Promise<readonly MemberRecord[]> {
    const nowMs = this.#clock.nowMs();
    const good = (await this.members()).filter(
      (one) => one.revoked_at_ms === null && one.not_after_ms > nowMs,
    );
    const latest = new Map<string, MemberRecord>();
    for (const one of good.toSorted((left, right) => left.issued_at_ms - right.issued_at_ms))
      latest.set(`${one.role} ${one.name}`, one);
    const wanted = fingerprintsOf(this.trusted);
    return [...latest.values()].filter(({ authorities }) => (authorities ?? []).join() !== wanted.join());
  }

  /** Null where nobody has been invited from this data directory yet. */
  static async open(directory: string, clock: Clock): Promise<Authority | null> {
    const said = await readPrivately(fileOf(directory));
    if (said === null) return null;
    const kept = keptSchema.safeParse(said);
    if (!kept.success) {
      throw new CortexError(
        "identity_unusable",
        `${fileOf(directory)} is not what cortex neuron invite writes`,
      );
    }
    const signer = await readSigner(kept.data);
    return new Authority({ directory, clock }, { signer, kept: kept.data });
  }

  /** Makes one where there is none. `address`: where machines that join reach it; kept from then on. */
  static async openOrMake(
    directory: string,
    { clock, address, fallback }: { clock: Clock; address: string | undefined; fallback: string },
  ): Promise<Authority> {
    const present = await Authority.open(directory, clock);
    if (present !== null && (address === undefined || address === textOf(present.address))) return present;
    const kept =
      present === null
        ? { ...(await makeAuthority(clock.nowMs())), address: address ?? fallback }
        : { ...keptSchema.parse(await readPrivately(fileOf(directory))), address };
    await writePrivately(fileOf(directory), kept);
    return Authority.openOrMake(directory, { clock, address: undefined, fallback });
  }

  get fingerprint(): string {
    // Of the one that its server shows.
    return fingerprintOf(new X509Certificate((this.#kept.former ?? this.#kept).certificate));
  }

  async invite(name: string, { role, lifeMs }: { role: MemberRole; lifeMs: number }): Promise<Invitation> {
    const [invitation, secret] = [
      randomBytes(9).toString("base64url"),
      randomBytes(32).toString("base64url"),
    ];
    const expiresAtMs = this.#clock.nowMs() + lifeMs;
    await writePrivately(this.#pathOf("invitations", invitation), {
      name,
      role,
      secret_sha256: sha256(secret),
      expires_at_ms: expiresAtMs,
    });
    const { fingerprint } = this;
    return {
      token: { address: textOf(this.address), fingerprint, invitation, secret, name, role },
      expiresAtMs,
    };
  }

  /** Whether the invitation still waits to be taken up. */
  async isOpen(invitation: string): Promise<boolean> {
    return (await readPrivately(this.#pathOf("invitations", invitation))) !== null;
  }

  /** Throws `invitation_refused`, in the same words whatever is wrong with the secret. */
  async join({ invitation, secret, request }: JoinRequest): Promise<CertificateResponse> {
    const path = this.#pathOf("invitations", invitation);
    const kept = invitationSchema.safeParse(await readPrivately(path));
    if (!kept.success || !sameText(kept.data.secret_sha256, sha256(secret))) {
      throw new CortexError(
        "invitation_refused",
        "the invitation is not known here: it was used, taken back or never made",
      );
    }
    if (kept.data.expires_at_ms <= this.#clock.nowMs()) {
      throw new CortexError("invitation_refused", `the invitation of ${kept.data.name} has expired`);
    }
    const certificate = await this.#issue(request, kept.data);
    await unlink(path).catch((thrown: unknown) => {
      if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
      throw new CortexError("invitation_refused", "the invitation was used a moment ago");
    });
    await this.#record(certificate, kept.data);
    return this.#answer(certificate);
  }

  async #answer(certificate: string): Promise<CertificateResponse> {
    return { certificate, revocations: await this.revocations(), authorities: this.trusted };
  }

  /** A new certificate for whoever holds a good one. Throws `certificate_refused`. */
  async renew({ certificate, request, signature }: RenewRequest): Promise<CertificateResponse> {
    const present = this.#read(certificate);
    const facts = present === null ? null : certificateFacts(present);
    if (present === null || facts === null || !this.#holds(facts, present, { request, signature })) {
      throw new CortexError(
        "certificate_refused",
        "the certificate is not one of this authority, or not its sender's",
      );
    }
    const { serial } = facts;
    const member = await this.#member(serial);
    if (member === null || member.revoked_at_ms !== null) throw revoked(facts.name);
    const issued = await this.#issue(request, member);
    const record = await this.#record(issued, member);
    // Revoked while this was under way: what was made meanwhile is worth as little.
    if ((await this.#member(serial))?.revoked_at_ms !== null) {
      await this.#revoke(record);
      throw revoked(facts.name);
    }
    return this.#answer(issued);
  }

  #read(certificate: string): X509Certificate | null {
    try {
      const present = new X509Certificate(certificate);
      return signerAmong(this.trusted, present) < 0 ? null : present;
    } catch {
      return null;
    }
  }

  #holds(
    { notAfterMs }: CertificateFacts,
    { publicKey }: X509Certificate,
    { request, signature }: { request: string; signature: string },
  ): boolean {
    if (notAfterMs <= this.#clock.nowMs()) return false;
    return verify("sha256", Buffer.from(request), publicKey, Buffer.from(signature, "base64"));
  }

  async #issue(request: string, { name, role }: { name: string; role: MemberRole }): Promise<string> {
    await this.reload();
    const issued = await issueFor(this.#signer, request, { name, role, nowMs: this.#clock.nowMs() });
    if (issued !== null) return issued;
    throw new CortexError("certificate_refused", "the request for a certificate is not one of cortex");
  }

  async #record(
    certificate: string,
    { name, role }: { name: string; role: MemberRole },
  ): Promise<MemberRecord> {
    const { serial, notAfterMs } = certificateFacts(new X509Certificate(certificate));
    const record: MemberRecord = {
      name,
      role,
      serial,
      issued_at_ms: this.#clock.nowMs(),
      not_after_ms: notAfterMs,
      revoked_at_ms: null,
      authorities: fingerprintsOf(this.trusted),
    };
    await writePrivately(this.#pathOf("members", serial), record);
    return record;
  }

  async #revoke(record: MemberRecord): Promise<void> {
    const revokedAtMs = record.revoked_at_ms ?? this.#clock.nowMs();
    await writePrivately(this.#pathOf("members", record.serial), { ...record, revoked_at_ms: revokedAtMs });
  }

  async #member(serial: string): Promise<MemberRecord | null> {
    const parsed = memberRecordSchema.safeParse(await readPrivately(this.#pathOf("members", serial)));
    return parsed.success ? parsed.data : null;
  }

  /** Every certificate of the name, and its invitations. Returns how many certificates were good until now. */
  async revoke(name: string): Promise<number> {
    let count = 0;
    for (const id of await this.#names("invitations")) {
      const path = this.#pathOf("invitations", id);
      const kept = invitationSchema.safeParse(await readPrivately(path));
      if (kept.success && kept.data.name === name) await unlink(path).catch(() => undefined);
    }
    // Once more after the last: one that was renewed meanwhile is found by the next look.
    for (;;) {
      const good = (await this.members()).filter((one) => one.name === name && one.revoked_at_ms === null);
      if (good.length === 0) return count;
      count += good.length;
      for (const record of good) await this.#revoke(record);
    }
  }

  async members(): Promise<readonly MemberRecord[]> {
    const found = await Promise.all((await this.#names("members")).map((serial) => this.#member(serial)));
    return found.flatMap((record) => record ?? []).toSorted(by(({ name, serial }) => `${name} ${serial}`));
  }

  /** Signed, so that it may come by any way. */
  async revocations(): Promise<string> {
    const nowMs = this.#clock.nowMs();
    const revoked = (await this.members()).flatMap(
      ({ serial, revoked_at_ms: atMs, not_after_ms: notAfterMs }) =>
        atMs === null || notAfterMs <= nowMs ? [] : [{ serial, atMs }],
    );
    await this.reload();
    return makeRevocations(this.#signer, revoked, nowMs);
  }

  /** For programs of the operator on this machine, and for the authority's own server; kept in memory alone. */
  async credentials(role: "control" | "authority"): Promise<KeyAndCertificate> {
    const name = role === "authority" ? role : `control@${hostname()}`.slice(0, 63);
    const lifeMs = role === "authority" ? MEMBER_LIFE_MS : LOCAL_CONTROL_LIFE_MS;
    await this.reload();
    const { former } = this.#kept;
    // Who has not heard of the new authority yet still finds its server.
    const signer = role === "authority" && former !== undefined ? await readSigner(former) : this.#signer;
    return issueWithKey(signer, { name, role, nowMs: this.#clock.nowMs(), lifeMs });
  }

  async #names(folder: "invitations" | "members"): Promise<readonly string[]> {
    const directory = join(this.#directory, folder);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const names = await readdir(directory);
    return names.flatMap((name) => (name.endsWith(".json") ? [name.slice(0, -".json".length)] : []));
  }

  /** A name that came over the wire stays inside the folder. */
  #pathOf(folder: "invitations" | "members", id: string): string {
    const safe = /^[\w-]{1,64}$/.test(id) ? id : "-";
    return join(this.#directory, folder, `${safe}.json`);
  }
}

/** How far an exchange of the authority is: nothing of it, the new one is known and signs nothing, or signs. */
export type Exchange = "none" | "introduced" | "switched";

const fingerprintsOf = (bundle: string): string[] => authoritiesOf(bundle).map(fingerprintOf);

/** A stolen copy of a command's memory is worth a day. */
const LOCAL_CONTROL_LIFE_MS = 86_400_000;

const fileOf = (directory: string): string => join(directory, "authority.json");

const textOf = ({ host, port }: HostAndPort): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const sameText = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

const revoked = (name: string): CortexError =>
  new CortexError("certificate_refused", `the certificates of ${name} were revoked`);

/** Throws `authority_not_found` where nobody has been invited yet. */
export async function openAuthority(dataDirectory: string, clock: Clock): Promise<Authority> {
  const authority = await Authority.open(authorityDirectory(dataDirectory), clock);
  if (authority !== null) return authority;
  throw new CortexError("authority_not_found", `there is no authority in ${dataDirectory}`);
}
