// The engine's side in JavaScript: MathJax and KaTeX behind five functions on lists of formulas.
// Each returns, for every formula, [0, result] or [1, message, position or null].

import katex from 'katex';
import { liteAdaptor } from '@mathjax/src/mjs/adaptors/liteAdaptor.js';
import { STATE } from '@mathjax/src/mjs/core/MathItem.js';
import { TEXCLASS } from '@mathjax/src/mjs/core/MmlTree/MmlNode.js';
import { MmlMfrac } from '@mathjax/src/mjs/core/MmlTree/MmlNodes/mfrac.js';
import { SerializedMmlVisitor } from '@mathjax/src/mjs/core/MmlTree/SerializedMmlVisitor.js';
import { RegisterHTMLHandler } from '@mathjax/src/mjs/handlers/html.js';
import { TeX } from '@mathjax/src/mjs/input/tex.js';
import { Configuration } from '@mathjax/src/mjs/input/tex/Configuration.js';
import { MapHandler } from '@mathjax/src/mjs/input/tex/MapHandler.js';
import TexError from '@mathjax/src/mjs/input/tex/TexError.js';
import { LeftItem } from '@mathjax/src/mjs/input/tex/base/BaseItems.js';
import { CommandMap } from '@mathjax/src/mjs/input/tex/TokenMap.js';
import '@mathjax/src/mjs/input/tex/ams/AmsConfiguration.js';
import '@mathjax/src/mjs/input/tex/base/BaseConfiguration.js';
import '@mathjax/src/mjs/input/tex/boldsymbol/BoldsymbolConfiguration.js';
import '@mathjax/src/mjs/input/tex/braket/BraketConfiguration.js';
import '@mathjax/src/mjs/input/tex/cancel/CancelConfiguration.js';
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
import { mathjax } from '@mathjax/src/mjs/mathjax.js';
import { SVG } from '@mathjax/src/mjs/output/svg.js';
import { SvgWrapper } from '@mathjax/src/mjs/output/svg/Wrapper.js';
import { SvgMo } from '@mathjax/src/mjs/output/svg/Wrappers/mo.js';
import { MathJaxTexFont } from '@mathjax/mathjax-tex-font/mjs/svg.js';
import { KATEX_ONLY, MATHJAX_ONLY, SHARED } from './macros.js';
import { walk } from './walk.js';

// --- MathJax: two facts that its SVG does not tell, written into the tree as it is made.

const charNode = SvgWrapper.prototype.charNode;
SvgWrapper.prototype.charNode = function (variant, c, path) {
  const node = charNode.call(this, variant, c, path);
  node.attributes['data-v'] = variant;
  return node;
};

const drawOperator = SvgMo.prototype.toSVG;
SvgMo.prototype.toSVG = function (parents) {
  drawOperator.call(this, parents);
  // size null or 0: the plain glyph; above 0: a larger one; below 0: made of pieces.
  if (this.stretch.dir && this.size) {
    for (const node of this.dom || []) node.attributes['data-stretch'] = this.getText() || '';
  }
};

// --- MathJax: a fraction is an ordinary atom, as that of LaTeX is, with the space of one.

MmlMfrac.prototype.setTeXclass = function (previous) {
  this.getPrevClass(previous);
  this.texClass = TEXCLASS.ORD;
  for (const child of this.childNodes) child.setTeXclass(null);
  return this;
};

// --- MathJax: the colour in force at a \\left is that of its delimiter, as it is at a \\right.

const closeDelimiters = LeftItem.prototype.checkItem;
LeftItem.prototype.checkItem = function (item) {
  const result = closeDelimiters.call(this, item);
  const color = this.getProperty('color');
  if (color && item.isKind('right')) {
    const open = result[0]?.[0]?.First?.childNodes?.[0];
    if (open?.isKind('mo')) open.attributes.set('mathcolor', color);
  }
  return result;
};

// --- MathJax: commands of ours.

const argumentsOf = (parser, name, count) =>
  Array.from({ length: count }, () => parser.GetArgument(name));

new CommandMap('texlens-commands', {
  // \mathcolor{c}{x}: colour without a group around x, so that spacing stays as it was.
  mathcolor(parser, name) {
    const color = parser.GetArgument(name);
    const old = parser.stack.env.color;
    parser.stack.env.color = color;
    const math = parser.ParseArg(name);
    if (old) parser.stack.env.color = old;
    else delete parser.stack.env.color;
    parser.Push(parser.create('node', 'mstyle', [math], { mathcolor: color }));
  },
  // \delimcolor{c}: the colour of the \left, \middle or \right that follows.
  delimcolor(parser, name) {
    parser.stack.env.color = parser.GetArgument(name);
  },
  left(parser, name) {
    const item = parser.itemFactory.create('left', parser.GetDelimiter(name));
    item.setProperty('color', parser.stack.env.color);
    parser.Push(item);
  },
  multicolumn(parser, name) {
    const [, , content] = argumentsOf(parser, name, 3);
    parser.string = `{${content}}` + parser.string.slice(parser.i);
    parser.i = 0;
  },
  // \tag stands at the margin, where a picture of one formula has none: it follows the formula.
  tag(parser, name) {
    const bare = parser.GetStar();
    const text = parser.GetArgument(name);
    const shown = bare ? `\\text{${text}}` : `(\\text{${text}})`;
    parser.string = `\\qquad ${shown}` + parser.string.slice(parser.i);
    parser.i = 0;
  },
  // Nothing may be fetched, run or linked: the argument of \href is its text alone.
  href(parser, name) {
    parser.GetArgument(name);
    parser.Push(parser.ParseArg(name));
  },
});
Configuration.create('texlens', { handler: { macro: ['texlens-commands'] } });

const macros = {};
for (const [name, [text, count, optional]] of Object.entries({ ...SHARED, ...MATHJAX_ONLY })) {
  macros[name] = optional === undefined ? (count ? [text, count] : text) : [text, count, optional];
}

const adaptor = liteAdaptor();
RegisterHTMLHandler(adaptor);
const tex = new TeX({
  packages: [
    'base', 'ams', 'boldsymbol', 'braket', 'cancel', 'centernot', 'color', 'configmacros', 'enclose',
    'extpfeil', 'gensymb', 'mathtools', 'mhchem', 'newcommand', 'textcomp', 'textmacros', 'unicode',
    'upgreek', 'texlens',
  ],
  macros,
  // A letter is a letter: \mathit{ab} draws what \mathit{a b} does, as in TeX.
  identifierPattern: /^[a-zA-Z]/,
  ams: { operatornamePattern: /^[-*a-zA-Z0-9]/ },
  tags: 'none',
  maxMacros: 1000,
  maxBuffer: 64 * 1024,
  formatError: (_, error) => { throw error; },
});
const output = new SVG({
  fontCache: 'none',
  fontData: MathJaxTexFont,
  linebreaks: { inline: false },
  displayOverflow: 'overflow',
});
// `f''` is one mo with one character; TeX sets it as `f^{\prime\prime}`, and so do we.
const PRIMES = { '\u2033': 2, '\u2034': 3, '\u2057': 4 };
output.preFilters.add(({ math }) => math.root.walkTree((node) => {
  const count = node.isKind('mo') && PRIMES[node.getText()];
  if (!count) return;
  const primes = Array.from({ length: count }, () => {
    const prime = node.factory.create('mo', {}, [node.factory.create('text').setText('\u2032')]);
    prime.inheritAttributesFrom(node);
    prime.texClass = TEXCLASS.ORD;
    return prime;
  });
  const row = node.factory.create('mrow', {}, primes);
  row.inheritAttributesFrom(node);
  node.parent.replaceChild(row, node);
}));
const document = mathjax.document('', { InputJax: tex, OutputJax: output });
const visitor = new SerializedMmlVisitor();

// What a formula defines must not reach the next one.
const DEFINED = ['new-Command', 'new-Environment', 'new-Delimiter'];
function forgetDefinitions() {
  for (const name of DEFINED) MapHandler.getMap(name)?.map.clear();
}

const SETTINGS = { em: 16, ex: 8, containerWidth: 1e7 };

function typeset(formula, display) {
  return document.convert(formula, { display, ...SETTINGS });
}

// --- KaTeX

const katexMacros = {};
for (const [name, entry] of Object.entries({ ...SHARED, ...KATEX_ONLY })) {
  katexMacros[`\\${name}`] = entry[0];
}

function katexSettings() {
  return {
    displayMode: true, throwOnError: true, strict: 'ignore', trust: false, maxExpand: 1000,
    // A fresh copy: \gdef writes into it.
    macros: { ...katexMacros },
  };
}

function withoutPlaces(key, value) {
  return key === 'loc' || key === 'lexer' ? undefined : value;
}

// --- SVG that needs no style sheet and holds nothing but shapes

const LINE = 70; // stroke of a table's line or an enclosure, in thousandths of an em

function clean(node) {
  const a = node.attributes;
  if (!a) return;
  const stroked = a['data-line'] !== undefined || a['data-frame'] !== undefined
    || ((node.kind === 'line' || node.kind === 'ellipse' || node.kind === 'polyline'
      || (node.kind === 'path' && a['data-c'] === undefined)) && a['data-mml-node'] === undefined);
  if (stroked) {
    a['stroke-width'] ??= LINE;
    if (a['data-frame'] !== undefined || node.kind === 'ellipse' || node.kind === 'path') a.fill ??= 'none';
    if (/dashed/.test(a.class || '')) a['stroke-dasharray'] = 2 * LINE;
    if (/dotted/.test(a.class || '')) { a['stroke-dasharray'] = `0,${2 * LINE}`; a['stroke-linecap'] = 'round'; }
  }
  for (const name of Object.keys(a)) {
    if (name.startsWith('data-') || name === 'class' || name === 'style' || name === 'id' || /href|^on/.test(name)) delete a[name];
  }
  for (const child of node.children || []) clean(child);
}

/** A MathML tree without the LaTeX that MathJax notes beside each node. */
function bare(root) {
  root.walkTree((node) => {
    for (const name of ['data-latex', 'data-latex-item']) {
      if (node.attributes?.hasExplicit?.(name)) node.attributes.unset(name);
    }
  });
  return root;
}

// --- The five functions

function each(formulas, work) {
  return JSON.stringify(formulas.map((formula) => {
    try {
      return [0, work(formula)];
    } catch (error) {
      if (error instanceof TexError) return [1, String(error.message), null];
      const position = typeof error?.position === 'number' ? error.position : null;
      let message = String(error?.rawMessage ?? error?.message ?? error);
      if (/call stack|too much recursion/i.test(message)) message = 'is nested too deeply';
      return [1, message, position];
    } finally {
      if (/\\(?:def|let|newcommand|renewcommand|providecommand|newenvironment|renewenvironment|DeclareMathOperator|DeclarePaired|newtagform|definecolor)/.test(formula)) forgetDefinitions();
    }
  }));
}

globalThis.texlens = {
  parse: (formulas) => each(formulas, (formula) => { katex.__parse(formula, katexSettings()); return null; }),
  tree: (formulas) => each(formulas, (formula) =>
    JSON.parse(JSON.stringify(katex.__parse(formula, katexSettings()), withoutPlaces))),
  draw: (formulas, display) => each(formulas, (formula) => {
    const svg = adaptor.firstChild(typeset(formula, display));
    const group = svg.children.find((child) => child.kind === 'g');
    const [x, y, width, height] = adaptor.getAttribute(svg, 'viewBox').split(' ').map(Number);
    const { strings, rows } = walk({ kind: 'g', attributes: {}, children: group.children });
    return [strings, rows, x + width, -y, height + y];
  }),
  svg: (formulas, display) => each(formulas, (formula) => {
    const svg = adaptor.firstChild(typeset(formula, display));
    const viewBox = adaptor.getAttribute(svg, 'viewBox');
    const [, y, width, height] = viewBox.split(' ').map(Number);
    clean(svg);
    svg.attributes = {
      xmlns: 'http://www.w3.org/2000/svg', viewBox,
      width: `${width / 1000}em`, height: `${height / 1000}em`, role: 'img',
    };
    return [adaptor.outerHTML(svg), width, -y, height + y];
  }),
  mathml: (formulas, display) => each(formulas, (formula) =>
    visitor.visitTree(bare(document.convert(formula, { display, ...SETTINGS, end: STATE.CONVERT })))),
  versions: { mathjax: mathjax.version, katex: katex.version },
};
