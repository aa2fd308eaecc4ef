import { chmod, mkdir, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { CortexError, systemErrorCode } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import { replaceDurably } from "../../platform/replace-durably.ts";
import { memberRoleSchema } from "../../protocol/trust/join-exchange.ts";

/** What a machine has from an authority: who it is, by what it knows others, and where it renews. */
const identitySchema = z.object({
  name: z.string().min(1),
  role: memberRoleSchema,
  /** Where the authority answers: host:port. */
  address: z.string().min(1),
  authority: z.string().min(1),
  certificate: z.string().min(1),
  key: z.string().min(1),
  revocations: z.string(),
});

export type Identity = z.output<typeof identitySchema>;

/** Files with keys: for their owner alone, and so is the folder. */
export async function writePrivately(path: string, content: unknown): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  await replaceDurably(path, `${JSON.stringify(content, undefined, 2)}\n`);
}

/** Null where there is no file. Throws `identity_unusable` for one that others can read, or that is broken. */
export async function readPrivately(path: string): Promise<unknown> {
  try {
    const mode = (await stat(path)).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      const message = `${path} has mode 0${mode.toString(8)}: others can read the key in it`;
      throw new CortexError("identity_unusable", message, { next: `chmod 600 ${path}` });
    }
    return parseJson(await readFile(path, "utf8")) ?? {};
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return null;
    if (thrown instanceof CortexError) throw thrown;
    throw new CortexError("identity_unusable", `${path} cannot be read`, { cause: thrown });
  }
}

export async function readIdentity(path: string): Promise<Identity | null> {
  const said = await readPrivately(path);
  if (said === null) return null;
  const parsed = identitySchema.safeParse(said);
  if (parsed.success) return parsed.data;
  throw new CortexError("identity_unusable", `${path} is not what cortex neuron join writes`);
}
