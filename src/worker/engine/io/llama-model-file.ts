import { open, type FileHandle } from "node:fs/promises";
import { CortexError } from "../../../core/errors.ts";

const MAGIC = "GGUF";

/** Says what is wrong with a path before llama.cpp says it in its own way; answers with the bytes of the file. */
export async function checkModelFile(path: string): Promise<number> {
  const file = await openModelFile(path);
  try {
    const start = Buffer.alloc(MAGIC.length);
    await file.read(start, 0, start.length, 0);
    if (start.toString("latin1") !== MAGIC) {
      throw new CortexError("model_file_invalid", `${path} is not a GGUF file`);
    }
    return (await file.stat()).size;
  } catch (thrown) {
    if (thrown instanceof CortexError) throw thrown;
    throw new CortexError("model_file_invalid", `${path} cannot be read`, { cause: thrown });
  } finally {
    await file.close();
  }
}

async function openModelFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (thrown) {
    const errno = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (errno === "EACCES" || errno === "EPERM") {
      throw new CortexError("source_forbidden", `${path} may not be read by this user`, {
        cause: thrown,
        next: "let the neuron's user read the file",
      });
    }
    throw new CortexError("source_not_found", `there is no file ${path}`, { cause: thrown });
  }
}
