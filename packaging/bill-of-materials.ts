import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
}

const manifestOf = (path: string): Manifest => JSON.parse(readFileSync(path, "utf8")) as Manifest;

/** What a staged program consists of, as CycloneDX 1.6: every npm package of which a file is inside, and Node. */
export function billOfMaterials(name: string, app: string): string {
  const own = manifestOf(join(app, "package.json"));
  const places = [
    ...globSync("node_modules/{*,@*/*}/package.json", { cwd: app }),
    ...globSync("node_modules/**/node_modules/{*,@*/*}/package.json", { cwd: app }),
  ];
  const components = [...new Set(places)].toSorted().map((place) => {
    const manifest = manifestOf(join(app, place));
    const library = { name: manifest.name ?? dirname(place), version: manifest.version ?? "0" };
    return {
      type: "library",
      ...library,
      ...(manifest.license === undefined ? {} : { licenses: [{ expression: manifest.license }] }),
      purl: `pkg:npm/${library.name.replace("@", "%40")}@${library.version}`,
    };
  });
  const node = readFileSync(join(app, "../bin/node"));
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: { type: "application", name, version: own.version, licenses: [{ expression: own.license }] },
    },
    components: [
      {
        type: "application",
        name: "node",
        version: process.versions.node,
        hashes: [{ alg: "SHA-256", content: createHash("sha256").update(node).digest("hex") }],
      },
      ...components,
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
