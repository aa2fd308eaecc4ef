import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { checkServerIdentity, rootCertificates, TLSSocket, type PeerCertificate } from "node:tls";
import { buildConnector } from "undici";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { NeuronAccess } from "../../protocol/io/neuron-client.ts";
import { normalSerial } from "../certificate-life.ts";
import { certificateFacts, signerAmong } from "../read-certificate.ts";
import { authorityDirectory, identityPath } from "../places.ts";
import { Authority } from "./authority.ts";
import type { Bearer } from "./bearer.ts";
import { IssuedCertificates } from "./issued-certificates.ts";
import { Member } from "./member.ts";

export interface AccessOptions {
  readonly dataDirectory: string;
  readonly token: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For a program that stays: it hears of revocations and renewals while it runs, until closed. */
  readonly follows?: boolean;
}

export interface OpenAccess {
  readonly access: NeuronAccess;
  close(): void;
}

/**
 * What this user calls neurons with: the token, and the certificate of an authority or of a join where there is one.
 * Nothing says so in the fleet files but the `https` of an endpoint. Throws `identity_unusable`.
 */
export async function openNeuronAccess(options: AccessOptions): Promise<OpenAccess> {
  const { token } = options;
  const bearer = await findBearer(options);
  if (bearer === null) return { access: { token }, close: () => undefined };
  const connections = new Connections(bearer, token !== undefined);
  if (options.follows === true) connections.follow();
  return {
    access: { token, connectorFor: (neuron, timeoutMs) => connections.connectorFor(neuron, timeoutMs) },
    close: () => {
      connections.close();
    },
  };
}

async function findBearer({ dataDirectory, clock, logger }: AccessOptions): Promise<Bearer | null> {
  const directory = authorityDirectory(dataDirectory);
  const authority = await Authority.open(directory, clock);
  if (authority !== null) {
    return IssuedCertificates.open(authority, { directory: join(directory, "members"), clock });
  }
  const member = await Member.open(identityPath(dataDirectory, "control"), { clock, logger });
  if (member === null) return null;
  // A command that comes by once a month still finds a good certificate, where the authority answers.
  if (member.isDue) await member.renew().catch(() => undefined);
  return {
    get shown() {
      return member.tls;
    },
    isRevoked: (serial) => member.isRevoked(serial),
    follow: (changed) => {
      member.onChange(changed);
      member.start();
      return () => {
        void member.close();
      };
    },
  };
}

/** Connections to neurons, cut when the certificate at their other end is revoked. */
class Connections {
  readonly #bearer: Bearer;
  readonly #alsoTrustsSystem: boolean;
  readonly #open = new Map<TLSSocket, string>();
  #unfollow: (() => void) | null = null;

  /** `alsoTrustsSystem`: a neuron that is reached by token may stand behind a proxy with a public certificate. */
  constructor(bearer: Bearer, alsoTrustsSystem: boolean) {
    this.#bearer = bearer;
    this.#alsoTrustsSystem = alsoTrustsSystem;
  }

  connectorFor(neuron: string, timeoutMs: number | undefined): buildConnector.connector {
    return (options, callback) => {
      // Built for each connection, since the certificate is another one after a while.
      this.#connector({ neuron, timeoutMs })(options, (...made) => {
        const [, socket] = made;
        // On a failure it is missing, whatever the types say.
        if (socket instanceof TLSSocket) this.#keep(socket);
        callback(...made);
      });
    };
  }

  #connector({
    neuron,
    timeoutMs,
  }: {
    readonly neuron: string;
    readonly timeoutMs: number | undefined;
  }): buildConnector.connector {
    const { key, cert, ca } = this.#bearer.shown;
    return buildConnector({
      key,
      cert,
      ca: this.#alsoTrustsSystem ? [ca, ...rootCertificates] : [ca],
      minVersion: this.#alsoTrustsSystem ? "TLSv1.2" : "TLSv1.3",
      maxCachedSessions: 0,
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
      checkServerIdentity: (host, certificate) => this.#check({ host, certificate, neuron, ca }),
    });
  }

  /** A neuron is known by its name in the fleet files, not by the host where it is reached. */
  #check(shown: {
    readonly host: string;
    readonly certificate: PeerCertificate;
    readonly neuron: string;
    readonly ca: string;
  }): Error | undefined {
    const { host, certificate, neuron, ca } = shown;
    const leaf = new X509Certificate(certificate.raw);
    if (signerAmong(ca, leaf) < 0) return checkServerIdentity(host, certificate);
    const { name, role, serial } = certificateFacts(leaf);
    if (role !== "neuron" || name !== neuron) {
      return new Error(`its certificate is that of ${role ?? "nobody"} ${name}, not of neuron ${neuron}`);
    }
    return this.#bearer.isRevoked(serial) ? new Error("its certificate was revoked") : undefined;
  }

  #keep(socket: TLSSocket): void {
    const shown = socket.getPeerX509Certificate();
    this.#open.set(socket, shown === undefined ? "" : normalSerial(shown.serialNumber));
    socket.once("close", () => this.#open.delete(socket));
  }

  /** From now on connections end when the other side is revoked. */
  follow(): void {
    this.#unfollow ??= this.#bearer.follow(() => {
      for (const [socket, serial] of this.#open) if (this.#bearer.isRevoked(serial)) socket.destroy();
    });
  }

  close(): void {
    this.#unfollow?.();
  }
}
