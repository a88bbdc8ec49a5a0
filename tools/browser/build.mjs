// Copies KaTeX, MathJax and Temml, as web pages load them, into packages/texlens-fonts:
// `npm ci --ignore-scripts && node build.mjs`. `data/pictures/renderers/browser.py` loads them from there.

import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here('../../packages/texlens-fonts/src/texlens_fonts/browser/');
const FONTS = ['tex', 'newcm', 'stix2', 'modern', 'termes'];

const FILES = [
  ['katex/LICENSE', 'katex/LICENSE'],
  ['katex/dist/katex.min.js', 'katex/katex.min.js'],
  ['katex/dist/katex.min.css', 'katex/katex.min.css'],
  ['katex/dist/contrib/mhchem.min.js', 'katex/mhchem.min.js'],
  ['katex/dist/fonts', 'katex/fonts'],
  ['temml/LICENSE', 'temml/LICENSE'],
  ['temml/dist/temml.min.js', 'temml/temml.min.js'],
  ['temml/contrib/mhchem/mhchem.min.js', 'temml/mhchem.min.js'],
  ['temml/dist/Temml-Local.css', 'temml/temml.css'],
  ['temml/dist/Temml.woff2', 'temml/Temml.woff2'],
  ['@mathjax/src/LICENSE', 'mathjax/LICENSE'],
  ...['startup.js', 'core.js', 'loader.js', 'input/tex-base.js', 'input/tex/extensions', 'output/chtml.js', 'output/svg.js'].map(
    (part) => [`@mathjax/src/bundle/${part}`, `mathjax/${part}`],
  ),
];
for (const font of FONTS)
  for (const part of ['chtml', 'chtml.js', 'svg', 'svg.js'])
    if (!(font === 'tex' && part === 'svg')) // all of it is in svg.js
      FILES.push([`@mathjax/mathjax-${font}-font/${part}`, `mathjax-${font}-font/${part}`]);

for (const part of ['chtml', 'chtml.js', 'svg.js'])
  FILES.push([`@mathjax/mathjax-mhchem-font-extension/${part}`, `mathjax-mhchem-font-extension/${part}`]);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const [from, to] of FILES) cpSync(here(`node_modules/${from}`), out + to, { recursive: true });
