// Bundles MathJax, KaTeX and our own scripts into src/texlens/engine/js: engine.js, the licences of
// what is inside, and provenance.json. Run with `npm ci --ignore-scripts && node build.mjs`.

import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const out = new URL('../../src/texlens/engine/js/', import.meta.url).pathname;
await build({
  entryPoints: ['engine.js'],
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  charset: 'ascii',
  legalComments: 'none',
  // MathJax asks for its own version and for dynamic loading, which a bundle has no use for.
  define: { PACKAGE_VERSION: JSON.stringify(version('@mathjax/src')) },
  outfile: `${out}engine.js`,
});

function version(name) {
  return JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version;
}

const bundled = ['@mathjax/src', '@mathjax/mathjax-tex-font', 'katex', 'mhchemparser'];
copyFileSync('node_modules/@mathjax/src/LICENSE', `${out}LICENSE.mathjax`);
copyFileSync('node_modules/katex/LICENSE', `${out}LICENSE.katex`);
copyFileSync('node_modules/mhchemparser/LICENSE.txt', `${out}LICENSE.mhchemparser`);
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
