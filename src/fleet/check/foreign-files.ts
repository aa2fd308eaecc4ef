import { nearest } from "../../core/nearest.ts";
import { fleetSchema } from "../schema/fleet-schema.ts";
import { keysOf } from "../schema/schema-shape.ts";
import { diagnostic, type Diagnostic } from "../text/diagnostics.ts";
import type { FleetFile } from "../text/source-lines.ts";
import { FOREIGN_KEYS } from "./foreign-keys.ts";

/** TOML of other programs, by the name that each has everywhere. */
const OWNERS: Readonly<Record<string, string>> = {
  "pyproject.toml": "Python",
  "Cargo.toml": "Rust",
  "Pipfile.toml": "Python",
  "rustfmt.toml": "Rust",
  "clippy.toml": "Rust",
  "netlify.toml": "Netlify",
  "wrangler.toml": "Cloudflare",
  "fly.toml": "Fly.io",
  "mise.toml": "mise",
  "taplo.toml": "Taplo",
  "bunfig.toml": "Bun",
  "book.toml": "mdBook",
  "ruff.toml": "Ruff",
};

const TABLES = keysOf(fleetSchema);

const isKnown = (key: string): boolean => TABLES.includes(key) || FOREIGN_KEYS[key] !== undefined;

/**
 * A file of another program that lies among the fleet's is said to be one in one line, instead of a finding for each
 * of its keys. Not one of its tables is a fleet's, nor looks like a slip or like another system's model file.
 */
export function foreignFile(
  path: string,
  document: Readonly<Record<string, unknown>>,
): Diagnostic | undefined {
  const keys = Object.keys(document);
  const owner = OWNERS[path.split(/[/\\]/).at(-1) ?? ""];
  if (keys.length === 0 || keys.some(isKnown)) return undefined;
  if (
    owner === undefined &&
    (keys.length < LEAST_TABLES || keys.some((key) => nearest(key, TABLES) !== undefined))
  )
    return undefined;
  const shown = keys.slice(0, MOST_SHOWN).join(", ");
  const whose = owner === undefined ? "another program" : owner;
  return diagnostic({
    code: "CTX131",
    at: { file: path, line: 1, column: 1 },
    message: `the file belongs to ${whose}: it holds ${shown}${keys.length > MOST_SHOWN ? ", ..." : ""}, and nothing of a fleet`,
  });
}

/** One unknown table alone may be a slip that nobody foresaw. */
const LEAST_TABLES = 2;
const MOST_SHOWN = 4;

/** A file whose text says nothing as it is: its bytes are in another form, or half of the systems would not read it. */
export function unreadableFile({ path, text }: FleetFile): Diagnostic | undefined {
  const at = { file: path, line: 1, column: 1 };
  if (/\.toml$/i.test(path) && !path.endsWith(".toml")) {
    const name = path.split(/[/\\]/).at(-1) ?? path;
    const message = `${name} is not read: its ending is not .toml in lower case`;
    return diagnostic({ code: "CTX132", at, message });
  }
  if (!isUtf16(text)) return undefined;
  const message = "the file is UTF-16, as some editors and shells of Windows write it";
  const help = "save it as UTF-8; in PowerShell: Get-Content OLD | Set-Content -Encoding utf8 NEW";
  return diagnostic({ code: "CTX101", at, message, help });
}

/** Read as UTF-8 every other character of its letters is zero, and its mark is no character at all. */
function isUtf16(text: string): boolean {
  const start = text.replace(/^\uFFFD{2}/, "").slice(0, UTF16_SAMPLE);
  const zeros = start.split("\0").length - 1;
  return zeros >= 2 && zeros * 3 >= start.length;
}

const UTF16_SAMPLE = 64;
