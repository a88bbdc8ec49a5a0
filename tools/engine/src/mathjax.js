// MathJax, set up for the engine: LaTeX in; boxes, SVG or MathML out.

import { mathjax } from '@mathjax/src/mjs/mathjax.js';
import { liteAdaptor } from '@mathjax/src/mjs/adaptors/liteAdaptor.js';
import { SerializedMmlVisitor } from '@mathjax/src/mjs/core/MmlTree/SerializedMmlVisitor.js';
import { TEXCLASS } from '@mathjax/src/mjs/core/MmlTree/MmlNode.js';
import { MmlMfrac } from '@mathjax/src/mjs/core/MmlTree/MmlNodes/mfrac.js';
import { MmlMrow } from '@mathjax/src/mjs/core/MmlTree/MmlNodes/mrow.js';
import { RegisterHTMLHandler } from '@mathjax/src/mjs/handlers/html.js';
import { TeX } from '@mathjax/src/mjs/input/tex.js';
import FilterUtil from '@mathjax/src/mjs/input/tex/FilterUtil.js';
import { MapHandler } from '@mathjax/src/mjs/input/tex/MapHandler.js';
import '@mathjax/src/mjs/input/tex/ams/AmsConfiguration.js';
import '@mathjax/src/mjs/input/tex/amscd/AmsCdConfiguration.js';
import '@mathjax/src/mjs/input/tex/base/BaseConfiguration.js';
import '@mathjax/src/mjs/input/tex/boldsymbol/BoldsymbolConfiguration.js';
import '@mathjax/src/mjs/input/tex/braket/BraketConfiguration.js';
import '@mathjax/src/mjs/input/tex/cancel/CancelConfiguration.js';
import '@mathjax/src/mjs/input/tex/cases/CasesConfiguration.js';
import '@mathjax/src/mjs/input/tex/centernot/CenternotConfiguration.js';
import '@mathjax/src/mjs/input/tex/color/ColorConfiguration.js';
import '@mathjax/src/mjs/input/tex/configmacros/ConfigMacrosConfiguration.js';
import '@mathjax/src/mjs/input/tex/enclose/EncloseConfiguration.js';
import '@mathjax/src/mjs/input/tex/extpfeil/ExtpfeilConfiguration.js';
import '@mathjax/src/mjs/input/tex/gensymb/GensymbConfiguration.js';
import '@mathjax/src/mjs/input/tex/mathtools/MathtoolsConfiguration.js';
import '@mathjax/src/mjs/input/tex/mhchem/MhchemConfiguration.js';
import '@mathjax/src/mjs/input/tex/newcommand/NewcommandConfiguration.js';
import '@mathjax/src/mjs/input/tex/textcomp/TextcompConfiguration.js';
import '@mathjax/src/mjs/input/tex/textmacros/TextMacrosConfiguration.js';
import '@mathjax/src/mjs/input/tex/unicode/UnicodeConfiguration.js';
import '@mathjax/src/mjs/input/tex/upgreek/UpgreekConfiguration.js';
import { SVG } from '@mathjax/src/mjs/output/svg.js';
import { SvgTextNode } from '@mathjax/src/mjs/output/svg/Wrappers/TextNode.js';
import { MathJaxTexFont } from '@mathjax/mathjax-tex-font/mjs/svg.js';
import MISSING_GLYPHS from 'missing-glyphs';
import { BoxReader, widthOfUnknown } from './boxes.js';
import { COLORS, COMMANDS } from './commands.js';
import { MATHJAX_ONLY, SHARED } from './macros.js';
import { newSketch, teachSketching } from './sketch.js';
import { SYNONYMS } from './synonyms.js';
import { isColor, plainSvg } from './plainsvg.js';

// A fraction is an ordinary atom, as that of LaTeX is, with the space of one.
MmlMfrac.prototype.setTeXclass = function (previous) {
  this.getPrevClass(previous);
  this.texClass = TEXCLASS.ORD;
  for (const child of this.childNodes) child.setTeXclass(null);
  return this;
};

// Only whether it is 1 is ever asked; to count all made a row of n operators cost n squared.
MmlMrow.prototype.nonSpaceLength = function () {
  let n = 0;
  for (const child of this.childNodes) if (child && !child.isSpacelike && ++n > 1) break;
  return n;
};

const macros = {};
for (const [name, text, count, optional] of SYNONYMS) define(name, text, count, optional);
for (const [name, [text, count, optional]] of Object.entries({ ...SHARED, ...MATHJAX_ONLY })) define(name, text, count, optional);

function define(name, text, count, optional) {
  macros[name] = count ? [text, count, ...(optional === undefined ? [] : [optional])] : text;
}

Object.assign(MathJaxTexFont.defaultChars.normal, MISSING_GLYPHS); // see glyphs.mjs

// An f has its italic correction in a formula and not in a word: \mathrm{for} and \text{for} look the
// same. (TeX leaves it out between the letters of a word, and keeps it after the last one.)
const TEXT_FONTS = ['normal', 'bold', 'sans-serif', 'bold-sans-serif', 'monospace'];
const INVISIBLE = 0.02; // em: the correction of a q
const { computeBBox } = SvgTextNode.prototype;
SvgTextNode.prototype.computeBBox = function (bbox, recompute) {
  computeBBox.call(this, bbox, recompute);
  const { node } = this.parent;
  if (bbox.ic && TEXT_FONTS.includes(node.attributes.get('mathvariant')) && (bbox.ic < INVISIBLE || isInWord(node)))
    bbox.ic = 0;
};

function isInWord(node) {
  if (node.getText().length > 1) return true; // \inf
  return node.isKind('mi') && node.parent?.isInferred && node.parent.childNodes.length > 1;
}

const adaptor = liteAdaptor();
RegisterHTMLHandler(adaptor);
const tex = new TeX({
  packages: [
    'base', 'ams', 'amscd', 'boldsymbol', 'braket', 'cancel', 'cases', 'centernot', 'color',
    'configmacros', 'enclose', 'extpfeil', 'gensymb', 'mathtools', 'mhchem', 'newcommand',
    'textcomp', 'textmacros', 'unicode', 'upgreek', COMMANDS,
  ],
  macros,
  // As wide as its widest line: a picture of one formula has no margins to be flush with.
  ams: { multlineWidth: 'auto' },
  textmacros: { packages: ['text-base', `${COMMANDS}-text`] },
  tags: 'none',
  maxMacros: 1000,
  maxBuffer: 64 * 1024,
  formatError: (_, error) => {
    throw error;
  },
});
const output = new SVG({
  fontCache: 'none',
  fontData: MathJaxTexFont,
  displayOverflow: 'overflow',
  linebreaks: { inline: false },
});
teachSketching(output, adaptor);
output.measureTextNode = (node) => {
  const text = adaptor.textContent(node);
  return { w: [...text].reduce((sum, char) => sum + widthOfUnknown(char), 0), h: 0.75, d: 0.2 };
};
const page = mathjax.document('', { InputJax: tex, OutputJax: output });

// Two filters tidy the tree for readers of MathML; a picture does not need them, and the second
// would make one operator, with one token, of relations that stand together.
const tidy = tex.postFilters.items;
const plain = [
  ...tidy.filter(({ item }) => item !== FilterUtil.cleanAttributes && item !== FilterUtil.combineRelations),
  { item: separatePrimes },
];

// f'' is one operator with one character to MathJax; TeX sets it as f^{\prime\prime}, and so do we.
const PRIMES = { '\u2033': 2, '\u2034': 3, '\u2057': 4 };

function separatePrimes({ data }) {
  for (const node of data.getList('mo')) {
    const count = PRIMES[node.getText()];
    if (!count || !node.parent) continue;
    const primes = Array.from({ length: count }, () => {
      const prime = node.factory.create('mo', {}, [node.factory.create('text').setText('\u2032')]);
      prime.inheritAttributesFrom(node);
      prime.attributes.set('data-latex', "'");
      prime.texClass = TEXCLASS.ORD;
      return prime;
    });
    const row = node.factory.create('mrow', {}, primes);
    row.inheritAttributesFrom(node);
    for (const name of ['mathcolor', 'mathsize']) {
      if (node.attributes.hasExplicit(name)) row.attributes.set(name, node.attributes.getExplicit(name));
    }
    node.parent.replaceChild(row, node);
  }
}

// TeX sets letters and digits one by one, so that a script of `12` or `\mathit{ab}` stands at the
// last of them; readers of MathML want words and numbers whole.
const { options } = tex.parseOptions;
const whole = {
  identifier: options.identifierPattern,
  number: options.numberPattern,
  operator: options.ams.operatornamePattern,
};
const oneByOne = { identifier: /^[a-zA-Z]/, number: /^[0-9]/, operator: /^[-*a-zA-Z0-9]/ };

function usePatterns({ identifier, number, operator }) {
  options.identifierPattern = identifier;
  options.numberPattern = number;
  options.ams.operatornamePattern = operator;
}

const DEFINED = ['new-Command', 'new-Environment', 'new-Delimiter'];
const EM = 16; // pixels an em, for lengths given in pixels

function compile(latex, display, filters = plain, patterns = oneByOne) {
  const item = new page.options.MathItem(latex, tex, display);
  item.setMetrics(EM, EM * output.font.params.x_height, 1e7, 1);
  tex.postFilters.items = filters;
  usePatterns(patterns);
  try {
    item.compile(page);
  } finally {
    forgetDefinitions();
  }
  return item;
}

// What a formula defines must not reach the next one.
const { columnParser, packageData } = tex.parseOptions;
const columns = { ...columnParser.columnHandler };

function forgetDefinitions() {
  for (const name of DEFINED) MapHandler.getMap(name).map.clear();
  columnParser.columnHandler = { ...columns };
  packageData.get('color').model.userColors = new Map(COLORS);
}
forgetDefinitions();

/** [strings, rows, width, height, depth] of a formula: see BoxReader; the size in 1/1000 em. */
export function draw(latex, display) {
  const item = compile(latex, display);
  output.sketching = true;
  try {
    // What MathJax's own typeset() does, without the document around it.
    output.setDocument(page);
    output.math = item;
    output.container = newSketch();
    output.pxPerEm = item.metrics.ex / output.font.params.x_height;
    output.nodeMap = new Map();
    item.root.attributes.setInherited('overflow', 'overflow');
    item.root.setTeXclass(null);
    const wrapper = output.factory.wrap(item.root);
    const { w, h, d } = wrapper.getOuterBBox();
    const sketch = newSketch();
    wrapper.toSVG([sketch]);
    const { strings, rows } = new BoxReader(sketch);
    return [strings, rows, Math.round(1000 * w), Math.round(1000 * h), Math.round(1000 * d)];
  } finally {
    output.sketching = false;
    output.nodeMap = null;
  }
}

/** [SVG text, width, height, depth], the size in 1/1000 em. */
export function svg(latex, display) {
  const container = output.typeset(compile(latex, display), page);
  return plainSvg(adaptor.firstChild(container), adaptor);
}

const visitor = new SerializedMmlVisitor();

export function mathml(latex, display) {
  const { root } = compile(latex, display, tidy, whole);
  root.walkTree(({ attributes }) => {
    for (const name of attributes?.getExplicitNames() ?? []) if (!isSafe(name, attributes)) attributes.unset(name);
  });
  return visitor.visitTree(root);
}

// MathML's own attributes, without links, styles, and names that a page could give a meaning.
function isSafe(name, attributes) {
  if (/color$|background$/.test(name)) return isColor(attributes.getExplicit(name));
  return attributes.hasDefault(name) && !/^(?:href|style|class|id|data-.*)$/.test(name);
}

export const version = mathjax.version;
