/** Where a value belongs: keys, from the outermost in. */
export type SettingPath = readonly string[];

/** One thing that is said in a file of settings. */
export type Setting =
  /** Replaces what stands there. */
  | { readonly kind: "set"; readonly path: SettingPath; readonly value: unknown }
  /** Only where nothing stands there. */
  | { readonly kind: "default"; readonly path: SettingPath; readonly value: unknown }
  /** Takes away what an earlier connection has put there, and nothing else: only where it is this value. */
  | { readonly kind: "forget"; readonly path: SettingPath; readonly value: unknown }
  /** Into a list: in the place of the element with the same `name` or `id`, else at the end. */
  | {
      readonly kind: "element";
      readonly path: SettingPath;
      readonly by: "name" | "id";
      readonly value: Readonly<Record<string, unknown>>;
    };

export type SettingsFormat = "json" | "toml" | "yaml";

export interface SettingsFile {
  /** Below the home directory. */
  readonly path: string;
  readonly format: SettingsFormat;
  readonly settings: readonly Setting[];
}
