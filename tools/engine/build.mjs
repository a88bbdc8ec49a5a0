// Bundles MathJax, KaTeX and our own scripts into src/texlens/engine/js: engine.js, the licences of
// what is inside, and provenance.json. Run with `npm ci --ignore-scripts && node build.mjs`.

import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { bundle, here, version } from './bundle.mjs';
import { missingGlyphs } from './glyphs.mjs';

const out = here('../../src/texlens/engine/js/');

await bundle(`${out}engine.js`, (bundler) => {
  bundler.onLoad({ filter: /^missing-glyphs$/, namespace: 'made' }, async () => ({
    contents: JSON.stringify(await missingGlyphs()),
    loader: 'json',
  }));
});

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
