// Bundles the engine once for each of MathJax's font packages on npm beside its TeX font, into
// packages/texlens-fonts: `npm ci --ignore-scripts && node fonts.mjs`. A font's parts, which MathJax
// would load when they are first used, are all inside.

import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here('../../packages/texlens-fonts/src/texlens_fonts/js/');
const FONTS = {
  modern: 'MathJaxModernFont',
  newcm: 'MathJaxNewcmFont',
  stix2: 'MathJaxStix2Font',
  termes: 'MathJaxTermesFont',
};
const { version } = JSON.parse(readFileSync(here('node_modules/@mathjax/src/package.json'), 'utf8'));

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
  const inPlace = {
    name: 'in-place',
    setup(bundler) {
      bundler.onResolve({ filter: /\/Attributes\.js$/ }, () => ({ path: here('src/attributes.js') }));
      bundler.onResolve({ filter: /^missing-glyphs$/ }, ({ path }) => ({ path, namespace: 'none' }));
      bundler.onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: '{}', loader: 'json' }));
      bundler.onResolve({ filter: /mathjax-tex-font\/mjs\/svg\.js$/ }, ({ path }) => ({ path, namespace: 'font' }));
      bundler.onLoad({ filter: /.*/, namespace: 'font' }, () => ({ contents, resolveDir: here('.') }));
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
    define: { PACKAGE_VERSION: JSON.stringify(version) },
    plugins: [inPlace],
    outfile: `${out}${font}.js`,
  });
}
copyFileSync(here('node_modules/@mathjax/src/LICENSE'), `${out}LICENSE.mathjax`);
