import { readFileSync, writeFileSync } from "node:fs";

/**
 * Adds the optional packages of other platforms that the lock file lacks.
 *
 * Packages with native binaries list one optional dependency per platform, and `npm ci` refuses a lock file in which
 * any of them has no entry. A registry mirror that does not carry some platform's packages makes npm write just such
 * a lock file. An entry needs a version and the platform it is for; it is skipped everywhere else. Entries that npm
 * wrote itself, with their integrity, are left as they are.
 */
interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  optionalDependencies?: Record<string, string>;
}

const OPERATING_SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\b(darwin|mac)\b/, "darwin"],
  [/\b(win32|win|windows)\b/, "win32"],
  [/\bandroid\b/, "android"],
  [/\bfreebsd\b/, "freebsd"],
  [/\bopenbsd\b/, "openbsd"],
  [/\bnetbsd\b/, "netbsd"],
  [/\bsunos\b/, "sunos"],
  [/\baix\b/, "aix"],
  [/\bopenharmony\b/, "openharmony"],
  [/\blinux\b/, "linux"],
];

const PROCESSORS: readonly (readonly [RegExp, string])[] = [
  [/\b(arm64|aarch64)\b/, "arm64"],
  [/\b(x64|x86_64)\b/, "x64"],
  [/\b(ia32|i686)\b/, "ia32"],
  [/\b(arm|armv7l?|armv6l?)\b/, "arm"],
  [/\bppc64\b/, "ppc64"],
  [/\bs390x\b/, "s390x"],
  [/\briscv64\b/, "riscv64"],
  [/\bloong64\b/, "loong64"],
  [/\bwasm32\b/, "wasm32"],
];

const match = (name: string, table: readonly (readonly [RegExp, string])[]): string | undefined =>
  table.find(([pattern]) => pattern.test(name))?.[1];

const lockPath = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(lockPath, "utf8")) as { packages: Record<string, LockedPackage> };
let added = 0;
for (const parent of Object.values(lock.packages)) {
  for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    if (lock.packages[place] !== undefined) continue;
    const [os, cpu] = [match(name, OPERATING_SYSTEMS), match(name, PROCESSORS)];
    if (os === undefined && cpu === undefined) continue;
    lock.packages[place] = {
      version: range.replace(/^[^0-9]*/, ""),
      ...(cpu === undefined ? {} : { cpu: [cpu] }),
      ...(parent.dev === true ? { dev: true } : {}),
      optional: true,
      ...(os === undefined ? {} : { os: [os] }),
    };
    added += 1;
  }
}
const [[root, rootPackage] = ["", {}], ...others] = Object.entries(lock.packages);
const sorted = others.toSorted(([left], [right]) => left.localeCompare(right, "en"));
lock.packages = Object.fromEntries([[root, rootPackage], ...sorted]);
writeFileSync(lockPath, `${JSON.stringify(lock, undefined, 2)}\n`);
process.stdout.write(`${added} entries added\n`);
