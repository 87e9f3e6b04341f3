// Bundles every card into mlops_magics/frontends/widgets/static, and stamps the bundle with a digest
// of what it was made from. hatch_build.py computes the same digest to tell whether it is fresh.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "mlops_magics", "frontends", "widgets", "static");
// A card's code travels to the page with every notebook that shows one, a report's with every report.
// Those of the profile and of the runs are larger: a table, views and their drawings, without any library.
const KB = 1024;
const CARDS = { monitor: 16 * KB, promote: 24 * KB, profile: 30 * KB, track: 30 * KB };
const SCRIPTS = { report: 30 * KB };

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
writeFileSync(join(out, ".stamp"), `${digest()}\n`);
