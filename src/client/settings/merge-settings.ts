import { CortexError } from "../../core/errors.ts";
import { canonicalJson, isRecord } from "../../core/json.ts";
import { parseJsonc, setInJson } from "./merge-json.ts";
import { parseToml, setInToml } from "./merge-toml.ts";
import { parseYaml, setInYaml } from "./merge-yaml.ts";
import { obstacleTo, withSetting } from "./set-in.ts";
import type { Setting, SettingsFile, SettingsFormat } from "./settings-change.ts";

interface Format {
  /** Throws on a text of another format. */
  readonly parse: (text: string) => unknown;
  readonly set: (text: string, setting: Setting) => string;
}

const FORMATS: Readonly<Record<SettingsFormat, Format>> = {
  json: { parse: parseJsonc, set: setInJson },
  toml: { parse: parseToml, set: setInToml },
  yaml: { parse: parseYaml, set: setInYaml },
};

/** Nothing at all is said by an empty text. */
const readText = ({ parse }: Format, text: string): unknown =>
  text.trim() === "" ? {} : (parse(text) ?? {});

/**
 * A text with the settings of a file in it, and everything else as it was. Texts are edited, not written anew, so that
 * comments stay; what comes out is read again and compared with what it has to say. Throws `settings_unreadable`.
 */
export function mergeSettings(text: string, { format, settings, path }: SettingsFile): string {
  const { set } = FORMATS[format];
  let wanted = readOrRefuse(FORMATS[format], text, path);
  let merged = text;
  if (!isRecord(wanted)) throw refusal(path, "it is not a table");
  for (const setting of settings) {
    const obstacle = obstacleTo(wanted, setting);
    if (obstacle !== null) throw refusal(path, obstacle);
    wanted = withSetting(wanted, setting);
    merged = set(merged, setting);
  }
  if (canonicalJson(readAgain(FORMATS[format], merged)) === canonicalJson(wanted)) return merged;
  throw new CortexError("settings_unreadable", `${path} is written in a way that cannot be changed safely`, {
    next: "run the same without --write and put the lines in by hand",
  });
}

const refusal = (path: string, reason: string): CortexError =>
  new CortexError("settings_unreadable", `${path} cannot be changed: ${reason}`);

function readOrRefuse(format: Format, text: string, path: string): unknown {
  try {
    return readText(format, text);
  } catch (thrown) {
    const reason = thrown instanceof Error ? (thrown.message.split("\n")[0] ?? "") : "";
    throw new CortexError("settings_unreadable", `${path} cannot be read: ${reason}`, { cause: thrown });
  }
}

function readAgain(format: Format, text: string): unknown {
  try {
    return readText(format, text);
  } catch {
    return undefined;
  }
}

/** Whether a text says all of it already. */
export const saysAll = (text: string, file: SettingsFile): boolean => {
  const present = readOrRefuse(FORMATS[file.format], text, file.path);
  return canonicalJson(file.settings.reduce(withSetting, present)) === canonicalJson(present);
};
