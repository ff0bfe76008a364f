// `npm run build` builds the pages into web/build. With --watch, it builds them again whenever a file changes.

import { copyFile, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const web = dirname(fileURLToPath(import.meta.url));
const out = join(web, "build");
const pages = ["console.html", "softphone.html"];

const copyPages = {
  name: "copy-pages",
  setup(build) {
    build.onEnd(async () => {
      await Promise.all(pages.map((page) => copyFile(join(web, page), join(out, page))));
    });
  },
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const context = await esbuild.context({
  absWorkingDir: web,
  entryPoints: ["console.js", "console.css", "softphone.js", "softphone.css", "voice-sdk.js"],
  outdir: out,
  bundle: true,
  format: "esm",
  // The page fetches the SDK only when it needs it, and what both pages share is in one file.
  splitting: true,
  chunkNames: "[name]-[hash]",
  minify: true,
  target: ["es2022"],
  legalComments: "eof",
  logLevel: "warning",
  plugins: [copyPages],
});
if (process.argv.includes("--watch")) {
  await context.watch();
} else {
  await context.rebuild();
  await context.dispose();
}
