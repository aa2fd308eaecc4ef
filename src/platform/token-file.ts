import { readFile, stat } from "node:fs/promises";
import { CortexError } from "../core/errors.ts";

const MIN_TOKEN_LENGTH = 16;

/** Reads a shared token from a file that only its owner can read. Throws `token_file_unsafe`. */
export async function readTokenFile(path: string): Promise<string> {
  const facts = await stat(path).catch((thrown: unknown) => {
    throw new CortexError("token_file_unsafe", `the token file ${path} cannot be read`, {
      next: "make one: (umask 077; openssl rand -hex 32 > neuron.token)",
      cause: thrown,
    });
  });
  const mode = facts.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new CortexError(
      "token_file_unsafe",
      `the token file ${path} has mode 0${mode.toString(8)}: others can read or change it`,
      { next: `chmod 600 ${path}` },
    );
  }
  const token = (await readFile(path, "utf8")).trim();
  if (token.length < MIN_TOKEN_LENGTH || /\s/.test(token)) {
    throw new CortexError(
      "token_file_unsafe",
      `the token in ${path} must be one word of at least ${MIN_TOKEN_LENGTH} characters`,
      { next: `make one: (umask 077; openssl rand -hex 32 > ${path})` },
    );
  }
  return token;
}
