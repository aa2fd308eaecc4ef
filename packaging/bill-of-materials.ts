import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** As `npm run build` lists what is built into the program. */
const BUILT_IN = "dist/third-parties.json";

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
}

const manifestOf = (path: string): Manifest => JSON.parse(readFileSync(path, "utf8")) as Manifest;

/** What a staged program consists of, as CycloneDX 1.6: every npm package of which a file is inside, or built in, and Node. */
export function billOfMaterials(name: string, app: string): string {
  const own = manifestOf(join(app, "package.json"));
  const places = [
    ...globSync("node_modules/{*,@*/*}/package.json", { cwd: app }),
    ...globSync("node_modules/**/node_modules/{*,@*/*}/package.json", { cwd: app }),
  ];
  const beside = places.map((place) => component({ name: dirname(place), ...manifestOf(join(app, place)) }));
  const builtIn = JSON.parse(readFileSync(join(app, BUILT_IN), "utf8")) as readonly Manifest[];
  const components = [
    ...new Map([...builtIn.map(component), ...beside].map((one) => [one.purl, one])).values(),
  ].toSorted((left, right) => (left.purl < right.purl ? -1 : 1));
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

function component({ name = "", version = "0", license }: Manifest) {
  return {
    type: "library",
    name,
    version,
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  };
}
