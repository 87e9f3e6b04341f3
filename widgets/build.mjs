// Bundles every card into mlops_magics/frontends/widgets/static, and the JupyterLab extension into
// mlops_magics/labextension; stamps them with a digest of what they were made from. hatch_build.py computes the
// same digest to tell whether they are fresh.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "mlops_magics", "frontends", "widgets", "static");
// A card's code travels to the page with every notebook that shows one, a report's with every report.
// Those of the profile and of the runs are larger: a table, views and their drawings, without any library.
const KB = 1024;
const CARDS = { promote: 28 * KB, profile: 30 * KB, track: 32 * KB, deploy: 24 * KB, monitor: 16 * KB };
const SCRIPTS = { report: 30 * KB };
const EXTENSION = "mlops-magics";
const LAB = join(here, "..", "mlops_magics", "labextension");
const LAB_LIMIT = 90 * KB;
const LAB_ROOTS = "mlp-side|mlp-framed|mlp-bar-place";

function sources() {
  const roots = ["build.mjs", "package.json", "package-lock.json", "tsconfig.json"];
  const found = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(here, join(entry.parentPath, entry.name)).split(sep).join("/"));
  return [...roots, ...found].sort();
}

function digest() {
  const hash = createHash("sha256");
  for (const name of sources()) {
    const content = createHash("sha256").update(readFileSync(join(here, name))).digest("hex");
    hash.update(`${name}\0${content}\n`);
  }
  return hash.digest("hex");
}

// A sheet holds within its own root and nowhere else: other extensions, and our own other sheets, are on the same page
// and may name things alike. `:where` has no weight, so what goes before what stays as it is written. `roots` are the
// classes of the root itself; an application's mark of its theme stands above every root.
function within(root, roots, css) {
  const own = css.replace(new RegExp(`\\.(${roots})(?![\\w-])`, "g"), "&.$1");
  return `:where(.${root}){${own.trim().replace(/(\[data-jp-theme-light[^\]]*\]|\.vscode-(?:light|dark)) (?=\.)/g, "$1 & ")}}\n`;
}

rmSync(out, { recursive: true, force: true });
const options = {
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
};
const entries = (names, ...ends) => names.flatMap((name) => ends.map((end) => `src/cards/${name}.${end}`));
const results = await Promise.all([
  build({ ...options, format: "esm", entryPoints: entries(Object.keys(CARDS), "ts", "css") }),
  build({ ...options, format: "iife", entryPoints: entries(Object.keys(SCRIPTS), "ts") }),
]);
for (const [file, { bytes }] of results.flatMap((result) => Object.entries(result.metafile.outputs))) {
  const name = file.split("/").pop();
  console.log(`${name}  ${(bytes / KB).toFixed(1)} KB`);
  const limit = { ...CARDS, ...SCRIPTS }[name.replace(".js", "")] ?? Infinity;
  if (bytes > limit) throw new Error(`${name} is larger than ${limit} bytes`);
}
for (const card of Object.keys(CARDS)) {
  const file = join(out, `${card}.css`);
  writeFileSync(file, within(`${EXTENSION}-${card}`, `mlp|mlp-${card}`, readFileSync(file, "utf8")));
}

// JupyterLab shares its own modules with an extension, so that nothing of it is bundled: one script, with its style
// sheet within. Its name carries a digest, because servers let browsers keep it for good.
async function lab() {
  const source = (name) => join(here, "src", "lab", name);
  const style = await build({ ...options, write: false, metafile: false, entryPoints: ["src/lab/lab.css"] });
  const define = {
    LAB_STYLE: JSON.stringify(within(`${EXTENSION}-lab`, LAB_ROOTS, style.outputFiles[0].text)),
    LAB_VERSION: JSON.stringify(JSON.parse(readFileSync(join(here, "package.json"), "utf8")).version),
    LAB_ICON: JSON.stringify(readFileSync(source("icon.svg"), "utf8").trim()),
  };
  const made = await build({ ...options, write: false, metafile: false, format: "iife", define, entryPoints: ["src/lab/remote.ts"] });
  const script = made.outputFiles[0].contents;
  console.log(`remoteEntry.js  ${(script.length / KB).toFixed(1)} KB`);
  if (script.length > LAB_LIMIT) throw new Error(`remoteEntry.js is larger than ${LAB_LIMIT} bytes`);
  const load = `static/remoteEntry.${createHash("sha256").update(script).digest("hex").slice(0, 12)}.js`;
  const { version, license } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const about = {
    name: EXTENSION,
    version,
    description: "Runs, models, endpoints and alerts beside the notebook.",
    license,
    jupyterlab: { extension: true, schemaDir: "schema", _build: { load, extension: "./extension" } },
  };
  const install = { packageManager: "python", packageName: EXTENSION, uninstallInstructions: `pip uninstall ${EXTENSION}` };
  rmSync(LAB, { recursive: true, force: true });
  mkdirSync(join(LAB, "static"), { recursive: true });
  writeFileSync(join(LAB, load), script);
  cpSync(source("schema"), join(LAB, "schemas", EXTENSION), { recursive: true });
  writeFileSync(join(LAB, "package.json"), `${JSON.stringify(about, null, 2)}\n`);
  writeFileSync(join(LAB, "install.json"), `${JSON.stringify(install, null, 2)}\n`);
}

await lab();
writeFileSync(join(out, ".stamp"), `${digest()}\n`);
