import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/platform/system-clock.ts";
import { startAuthorityServer, type RunningAuthority } from "../../src/trust/io/authority-server.ts";
import { Authority } from "../../src/trust/io/authority.ts";
import { writePrivately } from "../../src/trust/io/identity-file.ts";
import { renewed, takeUp } from "../../src/trust/io/join.ts";
import { Member } from "../../src/trust/io/member.ts";
import { readRevocations } from "../../src/trust/io/x509.ts";
import type { JoinToken } from "../../src/trust/join-token.ts";
import { certificateFacts } from "../../src/trust/read-certificate.ts";
import { ManualClock } from "../support/manual-clock.ts";

const logger = pino({ level: "silent" });
const HOUR_MS = 3_600_000;
const ANY_PORT = { address: "127.0.0.1:0", fallback: "127.0.0.1:0" };

let root = "";
let authority: Authority;
let server: RunningAuthority;
const opened: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cortex-trust-"));
  authority = await Authority.openOrMake(join(root, "authority"), { clock: systemClock, ...ANY_PORT });
  server = await startAuthorityServer(authority, { clock: systemClock, logger });
});

afterEach(async () => {
  await server.close();
  for (const close of opened.splice(0)) await close();
  await rm(root, { recursive: true, force: true });
});

const deps = { clock: systemClock, logger };
const addressText = ({ host, port }: { host: string; port: number }): string => `${host}:${port}`;

/** An invitation to the port that was really bound. */
async function invite(name = "beast", by: Authority = authority): Promise<JoinToken> {
  const { token } = await by.invite(name, { role: "neuron", lifeMs: HOUR_MS });
  return { ...token, address: addressText(server.address) };
}

const joinAs = async (name?: string) => takeUp(await invite(name), systemClock);

const serialOf = (certificate: string): string => certificateFacts(new X509Certificate(certificate)).serial;

describe("joining", () => {
  test("gives a certificate of the authority for the invited name, good for 30 days", async () => {
    const identity = await joinAs();
    const leaf = new X509Certificate(identity.certificate);
    expect(leaf.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(identity.key))).toBe(true);
    const facts = certificateFacts(leaf);
    expect(facts).toMatchObject({ name: "beast", role: "neuron" });
    expect(Math.round((facts.notAfterMs - Date.now()) / 86_400_000)).toBe(30);
    expect(await authority.members()).toMatchObject([{ name: "beast", revoked_at_ms: null }]);
  });

  test("an invitation works once, whoever comes first", async () => {
    const token = await invite();
    const results = await Promise.allSettled([takeUp(token, systemClock), takeUp(token, systemClock)]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    await expect(takeUp(token, systemClock)).rejects.toMatchObject({ code: "invitation_refused" });
    expect(await authority.members()).toHaveLength(1);
  });

  test("a wrong secret is refused and uses nothing up", async () => {
    const token = await invite();
    const wrong = takeUp({ ...token, secret: token.secret.replace(/.$/, "!") }, systemClock);
    await expect(wrong).rejects.toMatchObject({ code: "invitation_refused" });
    await expect(takeUp(token, systemClock)).resolves.toMatchObject({ name: "beast" });
  });

  test.for(["../members/x", "..", "a/b", ""])(
    "the invitation %j reaches no other file",
    async (invitation) => {
      const token = { ...(await invite()), invitation };
      await expect(takeUp(token, systemClock)).rejects.toThrow(/./);
      expect(await authority.members()).toEqual([]);
    },
  );

  test("an invitation that has expired says so", async () => {
    const { token } = await authority.invite("beast", { role: "neuron", lifeMs: -1 });
    const late = takeUp({ ...token, address: addressText(server.address) }, systemClock);
    await expect(late).rejects.toMatchObject({
      code: "invitation_refused",
      message: "the invitation of beast has expired",
    });
  });

  test("revoking a name takes its open invitations back", async () => {
    const token = await invite();
    await authority.revoke("beast");
    await expect(takeUp(token, systemClock)).rejects.toMatchObject({ code: "invitation_refused" });
  });

  test("keys and records are for their owner alone, and no secret is kept", async () => {
    const token = await invite();
    const directory = join(root, "authority");
    for (const path of ["authority.json", `invitations/${token.invitation}.json`]) {
      expect((await stat(join(directory, path))).mode & 0o777).toBe(0o600);
    }
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const files = await readdir(directory, { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), "utf8")),
    );
    expect(texts.join("\n")).not.toContain(token.secret);
    await chmod(join(directory, "authority.json"), 0o644);
    await expect(Authority.open(directory, systemClock)).rejects.toMatchObject({
      code: "identity_unusable",
      next: `chmod 600 ${join(directory, "authority.json")}`,
    });
  });
});

/** Somebody between: answers with TLS of its own, and notes what it is sent. */
async function impostor(tls: { readonly key: string; readonly cert: string }) {
  const received: string[] = [];
  const between: Server = createServer(tls, (request, response) => {
    received.push(`${request.method} ${request.url}`);
    response.end("{}");
  });
  between.on("error", () => undefined).on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  opened.push(() => new Promise((resolve) => between.close(resolve)));
  return { address: `127.0.0.1:${(between.address() as AddressInfo).port}`, received };
}

describe("somebody between", () => {
  test("with an authority of their own is told apart by the fingerprint, and is sent nothing", async () => {
    const other = await Authority.openOrMake(join(root, "other"), { clock: systemClock, ...ANY_PORT });
    const { key, certificate } = await other.credentials("authority");
    const between = await impostor({ key, cert: `${certificate}\n${other.certificate}` });
    const token = { ...(await invite()), address: between.address };
    await expect(takeUp(token, systemClock)).rejects.toMatchObject({ code: "authority_unproven" });
    expect(between.received).toEqual([]);
  });

  test("who shows the true authority's certificate without its key is sent nothing either", async () => {
    const other = await Authority.openOrMake(join(root, "other"), { clock: systemClock, ...ANY_PORT });
    const { key, certificate } = await other.credentials("authority");
    const between = await impostor({ key, cert: `${certificate}\n${authority.certificate}` });
    const token = { ...(await invite()), address: between.address };
    await expect(takeUp(token, systemClock)).rejects.toThrow("is not");
    expect(between.received).toEqual([]);
  });

  test("a member's certificate does not make an authority", async () => {
    const member = await joinAs();
    const between = await impostor({
      key: member.key,
      cert: `${member.certificate}\n${authority.certificate}`,
    });
    const token = { ...(await invite("benjy")), address: between.address };
    await expect(takeUp(token, systemClock)).rejects.toThrow("is a member's");
    expect(between.received).toEqual([]);
  });
});

describe("renewing", () => {
  test("a good certificate is exchanged for a new one with a new key", async () => {
    const first = await joinAs();
    const second = await renewed(first, systemClock);
    expect(second).toMatchObject({ name: "beast", role: "neuron", authority: first.authority });
    expect([second.key, serialOf(second.certificate)]).not.toContain(first.key);
    expect(serialOf(second.certificate)).not.toBe(serialOf(first.certificate));
  });

  test("who has the certificate without its key is refused", async () => {
    const [beast, benjy] = [await joinAs("beast"), await joinAs("benjy")];
    const stolen = renewed({ ...beast, key: benjy.key }, systemClock);
    await expect(stolen).rejects.toMatchObject({ code: "certificate_refused" });
  });

  test("a certificate of another authority is refused", async () => {
    const other = await Authority.openOrMake(join(root, "other"), { clock: systemClock, ...ANY_PORT });
    const beast = await joinAs();
    const foreign = await other.credentials("control");
    await expect(renewed({ ...beast, ...foreign }, systemClock)).rejects.toMatchObject({
      code: "certificate_refused",
    });
  });

  test("a revoked one is refused, and so is what it was renewed to before", async () => {
    const first = await joinAs();
    const second = await renewed(first, systemClock);
    expect(await authority.revoke("beast")).toBe(2);
    for (const identity of [first, second]) {
      await expect(renewed(identity, systemClock)).rejects.toMatchObject({
        code: "certificate_refused",
        message: "the certificates of beast were revoked",
      });
    }
    const serials = await readRevocations(await authority.revocations(), authority.certificate);
    expect(serials?.toSorted()).toEqual([first, second].map((one) => serialOf(one.certificate)).toSorted());
  });

  test("an expired one is refused", async () => {
    const clock = new ManualClock(Date.now() - 31 * 24 * HOUR_MS);
    const before = await Authority.openOrMake(join(root, "authority"), { clock, ...ANY_PORT });
    await server.close();
    server = await startAuthorityServer(before, { clock, logger });
    const identity = await joinOnce(before, clock);
    await server.close();
    server = await startAuthorityServer(authority, { clock: systemClock, logger });
    const late = renewed({ ...identity, address: addressText(server.address) }, systemClock);
    await expect(late).rejects.toMatchObject({ code: "certificate_refused" });
  });
});

/** As `join`, without TLS, which would hold the certificate of the server against the real time. */
async function joinOnce(by: Authority, clock: ManualClock) {
  const { requestCertificate } = await import("../../src/trust/io/x509.ts");
  const { token } = await by.invite("beast", { role: "neuron", lifeMs: HOUR_MS });
  const { key, request } = await requestCertificate("beast");
  const answer = await by.join({ invitation: token.invitation, secret: token.secret, request });
  expect(clock.nowMs()).toBeLessThan(Date.now());
  const { name, role } = token;
  return { name, role, address: token.address, authority: by.certificate, key, ...answer };
}

describe("a member", () => {
  test("renews itself when two thirds of the life are over, and keeps the new certificate on disk", async () => {
    const clock = new ManualClock(Date.now() - 25 * 24 * HOUR_MS);
    const before = await Authority.openOrMake(join(root, "authority"), { clock, ...ANY_PORT });
    const path = join(root, "identity.json");
    const old = { ...(await joinOnce(before, clock)), address: addressText(server.address) };
    await writePrivately(path, old);
    const member = await Member.open(path, deps);
    const changed = new Promise<void>((resolve) => member?.onChange(resolve));
    expect(member?.isDue).toBe(true);
    member?.start();
    await changed;
    await member?.close();
    expect(member?.isDue).toBe(false);
    expect(member?.facts.serial).not.toBe(serialOf(old.certificate));
    expect((await Member.open(path, deps))?.facts).toEqual(member?.facts);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("believes lists of revocations of its authority alone, and forgets none", async () => {
    const path = join(root, "identity.json");
    await writePrivately(path, await joinAs("beast"));
    const other = await joinAs("benjy");
    const early = await authority.revocations();
    await authority.revoke("benjy");
    const member = await Member.open(path, deps);
    const serial = serialOf(other.certificate);
    await member?.takeRevocations(await authority.revocations());
    await member?.takeRevocations(early);
    expect(member?.isRevoked(serial)).toBe(true);
    expect((await Member.open(path, deps))?.isRevoked(serial)).toBe(true);
    const foreign = await Authority.openOrMake(join(root, "other"), { clock: systemClock, ...ANY_PORT });
    await expect(member?.takeRevocations(await foreign.revocations())).rejects.toMatchObject({
      code: "certificate_refused",
    });
  });
});
