import { isSeq, parseDocument } from "yaml";
import { placeOf, valueAt } from "./set-in.ts";
import type { Setting } from "./settings-change.ts";

/** Throws on what is not YAML. */
export function parseYaml(text: string): unknown {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message.split("\n")[0]);
  return document.toJS() as unknown;
}

/** One setting in a text, which keeps its comments; blanks may be set anew. */
export function setInYaml(text: string, setting: Setting): string {
  const document = parseDocument(text);
  const { path, value } = setting;
  const present = valueAt(document.toJS(), path);
  if (setting.kind === "default" && present !== undefined) return text;
  if (setting.kind === "forget") {
    if (present !== value) return text;
    document.deleteIn(path);
  } else if (setting.kind !== "element") document.setIn(path, document.createNode(value));
  else if (Array.isArray(present) && isSeq(document.getIn(path))) {
    document.setIn([...path, placeOf(present, setting.by, setting.value)], document.createNode(value));
  } else document.setIn(path, document.createNode([value]));
  return document.toString({ lineWidth: 0 });
}
