// What the bundles of the engine have in common: the entry, esbuild's options, MathJax's version.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The version of an installed package. */
export function version(name) {
  return JSON.parse(readFileSync(here(`node_modules/${name}/package.json`), 'utf8')).version;
}

/** Bundle the engine into one script; `setup` resolves what differs between bundles. */
export async function bundle(outfile, setup) {
  await build({
    entryPoints: [here('src/engine.js')],
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    charset: 'ascii',
    legalComments: 'none',
    define: { PACKAGE_VERSION: JSON.stringify(version('@mathjax/src')) },
    plugins: [{
      name: 'ours',
      setup(bundler) {
        // MathJax's attributes by prototypes are replaced by flat ones.
        bundler.onResolve({ filter: /\/Attributes\.js$/ }, () => ({ path: here('src/attributes.js') }));
        bundler.onResolve({ filter: /^missing-glyphs$/ }, ({ path }) => ({ path, namespace: 'made' }));
        setup(bundler);
      },
    }],
    outfile,
  });
}
