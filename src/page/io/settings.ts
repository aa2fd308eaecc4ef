/** What the page remembers: the key for as long as its tab is open, the theme for longer. Never a fleet's data. */
const KEY = "cortex.key";
const THEME = "cortex.theme";

export type Theme = "system" | "light" | "dark";
const THEMES: readonly Theme[] = ["system", "light", "dark"];

export const rememberedKey = (): string => sessionStorage.getItem(KEY) ?? "";

export function rememberKey(key: string): void {
  if (key === "") sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

export const rememberedTheme = (): Theme =>
  THEMES.find((theme) => theme === localStorage.getItem(THEME)) ?? "system";

export function wearTheme(theme: Theme): void {
  localStorage.setItem(THEME, theme);
  document.documentElement.dataset["theme"] = theme;
}

export const nextTheme = (theme: Theme): Theme =>
  THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
