// Bundles the engine once for each of MathJax's font packages on npm beside its TeX font, into
// packages/texlens-fonts: `npm ci --ignore-scripts && node fonts.mjs`. A font's parts, which MathJax
// would load when they are first used, are all inside.

import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { bundle, here } from './bundle.mjs';

const out = here('../../packages/texlens-fonts/src/texlens_fonts/js/');
const FONTS = {
  modern: 'MathJaxModernFont',
  newcm: 'MathJaxNewcmFont',
  stix2: 'MathJaxStix2Font',
  termes: 'MathJaxTermesFont',
};

mkdirSync(out, { recursive: true });
for (const [font, name] of Object.entries(FONTS)) {
  const folder = `@mathjax/mathjax-${font}-font/mjs/svg`;
  const parts = readdirSync(here(`node_modules/${folder}/dynamic`)).filter((file) => file.endsWith('.js'));
  // In the place of the TeX font: the class under its name, every part of the font set up.
  const contents = `
    import { ${name} as Font } from '${folder}.js';
    ${parts.map((part) => `import '${folder}/dynamic/${part}';`).join('\n')}
    export class MathJaxTexFont extends Font {
      constructor(...given) {
        super(...given);
        for (const part of Object.values(Font.dynamicFiles)) {
          part.setup?.(this);
          part.promise = Promise.resolve();
        }
      }
    }`;
  await bundle(`${out}${font}.js`, (bundler) => {
    bundler.onLoad({ filter: /^missing-glyphs$/, namespace: 'made' }, () => ({ contents: '{}', loader: 'json' }));
    bundler.onResolve({ filter: /mathjax-tex-font\/mjs\/svg\.js$/ }, ({ path }) => ({ path, namespace: 'font' }));
    bundler.onLoad({ filter: /.*/, namespace: 'font' }, () => ({ contents, resolveDir: here('.') }));
  });
}
copyFileSync(here('node_modules/@mathjax/src/LICENSE'), `${out}LICENSE.mathjax`);
