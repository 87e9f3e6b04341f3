// Bundles every card into mlops_magics/frontends/widgets/static, and stamps the bundle with a digest
// of what it was made from. hatch_build.py computes the same digest to tell whether it is fresh.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "mlops_magics", "frontends", "widgets", "static");
const CARDS = ["promote"];
const LIMIT = 20 * 1024; // bytes: each card's code travels to the page with every notebook that shows one

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
const result = await build({
  entryPoints: CARDS.flatMap((card) => [`src/cards/${card}.ts`, `src/cards/${card}.css`]),
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) {
  console.log(`${file.split("/").pop()}  ${(bytes / 1024).toFixed(1)} KB`);
  if (file.endsWith(".js") && bytes > LIMIT) throw new Error(`${file} is larger than ${LIMIT} bytes`);
}
writeFileSync(join(out, ".stamp"), `${digest()}\n`);
