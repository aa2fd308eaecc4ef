import { h, render } from "preact";
import { App } from "./app.ts";
import { rememberedTheme, wearTheme } from "./settings.ts";

wearTheme(rememberedTheme());
const place = document.querySelector("#app");
// The page lies at /ui/app.js: what it asks lies one folder above, below whatever prefix a proxy puts in front.
if (place !== null) render(h(App, { base: new URL("..", import.meta.url) }), place);
