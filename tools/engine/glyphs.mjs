// Glyphs that MathJax's TeX font lacks, taken from its New Computer Modern font, which looks alike:
// accented Latin, Cyrillic, and the signs of mathematics and text that people type.

import { MathJaxNewcmFont } from '@mathjax/mathjax-newcm-font/mjs/svg.js';
import { MathJaxTexFont } from '@mathjax/mathjax-tex-font/mjs/svg.js';

const FILES = ['latin', 'cyrillic', 'symbols', 'arrows', 'math', 'shapes', 'accents', 'mshapes', 'marrows'];
const RANGES = [
  [0xa1, 0x17f], [0x218, 0x21b], [0x400, 0x45f], [0x490, 0x491], [0x2010, 0x205f], [0x20a0, 0x20bf],
  [0x2100, 0x214f], [0x2190, 0x22ff], [0x2308, 0x230b], [0x25a0, 0x25ff], [0x2605, 0x2606],
  [0x2660, 0x266f], [0x27c0, 0x27ff],
];

/** {code point: [height, depth, width, {p: outline}]} */
export async function missingGlyphs() {
  const font = new MathJaxNewcmFont();
  for (const file of FILES) {
    await import(`@mathjax/mathjax-newcm-font/mjs/svg/dynamic/${file}.js`);
    MathJaxNewcmFont.dynamicFiles[file].setup(font);
  }
  const own = MathJaxTexFont.defaultChars.normal;
  const glyphs = {};
  for (const [first, last] of RANGES)
    for (let code = first; code <= last; code++) {
      const glyph = font.variant.normal.chars[code];
      if (own[code] || !Array.isArray(glyph) || !glyph[3]?.p) continue; // known, or in no file here
      const [height, depth, width, { p }] = glyph;
      glyphs[code] = [height, depth, width, { p }];
    }
  return glyphs;
}
