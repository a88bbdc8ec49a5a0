// Bundles MathJax, KaTeX and our own scripts into src/texlens/engine/js: engine.js, the licences of
// what is inside, and provenance.json. Run with `npm ci --ignore-scripts && node build.mjs`.

import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { missingGlyphs } from './glyphs.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here('../../src/texlens/engine/js/');

const ours = {
  name: 'ours',
  setup(bundler) {
    // MathJax's attributes by prototypes are replaced by flat ones.
    bundler.onResolve({ filter: /\/Attributes\.js$/ }, () => ({ path: here('src/attributes.js') }));
    bundler.onResolve({ filter: /^missing-glyphs$/ }, ({ path }) => ({ path, namespace: 'made' }));
    bundler.onLoad({ filter: /^missing-glyphs$/, namespace: 'made' }, async () => ({
      contents: JSON.stringify(await missingGlyphs()),
      loader: 'json',
    }));
  },
};

await build({
  entryPoints: [here('src/engine.js')],
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  charset: 'ascii',
  legalComments: 'none',
  define: { PACKAGE_VERSION: JSON.stringify(version('@mathjax/src')) },
  plugins: [ours],
  outfile: `${out}engine.js`,
});

function version(name) {
  return JSON.parse(readFileSync(here(`node_modules/${name}/package.json`), 'utf8')).version;
}

const bundled = [
  '@mathjax/src', '@mathjax/mathjax-tex-font', '@mathjax/mathjax-newcm-font', 'katex', 'mhchemparser',
];
copyFileSync(here('node_modules/@mathjax/src/LICENSE'), `${out}LICENSE.mathjax`);
copyFileSync(here('node_modules/katex/LICENSE'), `${out}LICENSE.katex`);
copyFileSync(here('node_modules/mhchemparser/LICENSE.txt'), `${out}LICENSE.mhchemparser`);
writeFileSync(
  `${out}provenance.json`,
  JSON.stringify(
    {
      made_by: 'tools/engine/build.mjs',
      packages: Object.fromEntries(bundled.map((name) => [name, version(name)])),
      bundler: `esbuild ${version('esbuild')}`,
      sha256: createHash('sha256').update(readFileSync(`${out}engine.js`)).digest('hex'),
    },
    null,
    2,
  ) + '\n',
);
