// Commands that MathJax lacks and a macro cannot express.

import { Other } from '@mathjax/src/mjs/input/tex/base/BaseConfiguration.js';
import BaseMethods from '@mathjax/src/mjs/input/tex/base/BaseMethods.js';
import { LeftItem } from '@mathjax/src/mjs/input/tex/base/BaseItems.js';
import { Configuration } from '@mathjax/src/mjs/input/tex/Configuration.js';
import { Token } from '@mathjax/src/mjs/input/tex/Token.js';
import { CommandMap, DelimiterMap } from '@mathjax/src/mjs/input/tex/TokenMap.js';
import { TEXCLASS } from '@mathjax/src/mjs/core/MmlTree/MmlNode.js';
import { MapHandler } from '@mathjax/src/mjs/input/tex/MapHandler.js';
import ParseMethods from '@mathjax/src/mjs/input/tex/ParseMethods.js';
import '@mathjax/src/mjs/input/tex/newcommand/NewcommandConfiguration.js';
import '@mathjax/src/mjs/input/tex/amscd/AmsCdConfiguration.js';
import { ColorModel } from '@mathjax/src/mjs/input/tex/color/ColorUtil.js';
import { LETTERS, TEXT_ACCENTS } from './synonyms.js';

export const COMMANDS = 'texlens';

/** The named colours of the xcolor package, which are not those of CSS. */
export const COLORS = Object.entries({
  black: '#000000', blue: '#0000ff', brown: '#bf8040', cyan: '#00ffff', darkgray: '#404040',
  gray: '#808080', green: '#00ff00', lightgray: '#bfbfbf', lime: '#bfff00', magenta: '#ff00ff',
  olive: '#808000', orange: '#ff8000', pink: '#ffbfbf', purple: '#bf0040', red: '#ff0000',
  teal: '#008080', violet: '#800080', white: '#ffffff', yellow: '#ffff00',
});

// xcolor's HTML model, which MathJax lacks.
const normalizeColor = ColorModel.prototype.normalizeColor;
ColorModel.prototype.normalizeColor = function (model, definition) {
  if (model === 'HTML' && /^[0-9a-f]{6}$/i.test(definition)) return `#${definition.toLowerCase()}`;
  return normalizeColor.call(this, model, definition);
};

// Go on with this LaTeX in the place of what has been read.
function insert(parser, latex) {
  parser.string = latex + parser.string.slice(parser.i);
  parser.i = 0;
}

// Where the row ends that this LaTeX continues: before \\\\, the environment's \\end, or all of it.
function endOfRow(latex) {
  let depth = 0;
  for (const { 0: token, index } of latex.matchAll(/\\(?:begin|end|[^])|[{}]/g)) {
    if (depth === 0 && (token === '\\\\' || token === '\\end' || token === '}')) return index;
    if (token === '{' || token === '\\begin') depth++;
    if (token === '}' || token === '\\end') depth--;
  }
  return latex.length;
}

// Whether this command comes next; it is then read.
function isNext(parser, command) {
  const start = parser.i;
  if (parser.GetNext() === '\\') {
    parser.i++;
    if (`\\${parser.GetCS()}` === command) return true;
  }
  parser.i = start;
  return false;
}

function readColor(parser, name) {
  const model = parser.GetBrackets(name, '');
  return parser.configuration.packageData.get('color').model.getColor(model, parser.GetArgument(name));
}

// A delimiter, or \mathcolor{c}{delimiter}: [character, colour].
function readDelimiter(parser, name) {
  if (!isNext(parser, '\\mathcolor')) return [parser.GetDelimiter(name), parser.stack.env.color];
  const color = readColor(parser, name);
  return [parser.GetDelimiter(name, true), color];
}

new CommandMap('texlens-commands', {
  // \mathcolor[model]{c}{x}: colour without a group around x, so that spacing and limits stay.
  mathcolor(parser, name) {
    const color = readColor(parser, name);
    const old = parser.stack.env.color;
    parser.stack.env.color = color;
    const math = parser.ParseArg(name);
    if (old) parser.stack.env.color = old;
    else delete parser.stack.env.color;
    const nodes = math.isInferred ? math.childNodes : [math];
    if (nodes.length !== 1) return parser.Push(parser.create('node', 'mstyle', [math], { mathcolor: color }));
    const [node] = nodes;
    if (!node.attributes.hasExplicit('mathcolor')) node.attributes.set('mathcolor', color);
    // So marked it keeps the LaTeX that drew it, instead of taking that of this command.
    node.attributes.set('data-latex-item', node.attributes.get('data-latex') ?? '');
    return parser.Push(node);
  },
  // \delimcolor{c}: the colour of the \left, \middle or \right that follows.
  delimcolor(parser, name) {
    parser.stack.env.color = parser.GetArgument(name);
  },
  left(parser, name) {
    if (isNext(parser, '\\llbracket')) return insert(parser, '\\left[\\mkern-3mu\\left[');
    const [delimiter, color] = readDelimiter(parser, name);
    const item = parser.itemFactory.create('left', delimiter);
    item.setProperty('color', color);
    return parser.Push(item);
  },
  middle: (parser, name) => parser.Push(parser.itemFactory.create('middle', ...readDelimiter(parser, name))),
  right(parser, name) {
    if (isNext(parser, '\\rrbracket')) return insert(parser, '\\right]\\mkern-3mu\\right]');
    return parser.Push(parser.itemFactory.create('right', ...readDelimiter(parser, name)));
  },
  // \raisebox{by}[height][depth]{text}
  raisebox(parser, name) {
    const by = parser.GetArgument(name).trim();
    parser.GetBrackets(name);
    parser.GetBrackets(name);
    insert(parser, `\\raise ${by}{\\text{${parser.GetArgument(name)}}}`);
  },
  // Their argument may hold dollar signs, being text; mathematics in it is drawn at its own size.
  scalebox(parser, name) {
    parser.GetArgument(name);
    parser.GetBrackets(name);
    insert(parser, `{${parser.GetArgument(name).replace(/(?<!\\)\$/g, '')}}`);
  },
  resizebox(parser, name) {
    parser.GetArgument(name);
    parser.GetArgument(name);
    insert(parser, `{${parser.GetArgument(name).replace(/(?<!\\)\$/g, '')}}`);
  },
  hspace(parser, name) {
    parser.GetStar();
    BaseMethods.Hskip(parser, name);
  },
  // MathJax asks for a delimiter of 1.2 em, and the font's is a thousandth lower: it would take \Big's.
  big: (parser, name) => BaseMethods.MakeBig(parser, name, TEXCLASS.ORD, 0.849),
  bigl: (parser, name) => BaseMethods.MakeBig(parser, name, TEXCLASS.OPEN, 0.849),
  bigr: (parser, name) => BaseMethods.MakeBig(parser, name, TEXCLASS.CLOSE, 0.849),
  bigm: (parser, name) => BaseMethods.MakeBig(parser, name, TEXCLASS.REL, 0.849),
  vspace(parser, name) {
    parser.GetStar();
    parser.GetArgument(name);
  },
  // Glue at the edge of a cell moves it; elsewhere there is no room to fill.
  hfill(parser) {
    const top = parser.stack.Top();
    if (top.hfill) top.hfill.push(top.Size());
  },
  // Settings would outlive the formula.
  mathtoolsset: (parser, name) => void parser.GetArgument(name),
  multicolumn(parser, name) {
    parser.GetArgument(name);
    parser.GetArgument(name);
    insert(parser, `{${parser.GetArgument(name)}}`);
  },
  // \tag stands at the margin, where a picture of one formula has none: it follows its row.
  tag(parser, name) {
    const bare = parser.GetStar();
    const text = parser.GetArgument(name);
    const rest = parser.string.slice(parser.i);
    const end = endOfRow(rest);
    const tag = bare ? `\\qquad \\text{${text}}` : `\\qquad (\\text{${text}})`;
    parser.string = rest.slice(0, end) + tag + rest.slice(end);
    parser.i = 0;
  },
  // As any other argument: MathJax would take \mathop{\rm l i m} for a word with spaces.
  mathop(parser, name) {
    const definition = { texClass: TEXCLASS.OP, movesupsub: true, movablelimits: true };
    const atom = parser.create('node', 'TeXAtom', [parser.ParseArg(name)], definition);
    parser.Push(parser.itemFactory.create('fn', atom));
  },
  // Nothing is fetched, run or linked: \href is its text.
  href(parser, name) {
    parser.GetArgument(name);
    parser.Push(parser.ParseArg(name));
  },
});
for (const name of ['gdef', 'edef', 'xdef']) alias(name, 'def');
alias('providecommand', 'newcommand');

function alias(name, other) {
  const map = MapHandler.getMap('Newcommand-macros');
  map.add(name, map.lookup(other));
}

// An arrow over or under something is no accent, which MathJax knows of \to alone.
const arrows = MapHandler.getMap('mathchar0mo');
for (const [name, arrow] of arrows.map) {
  if (/[\u2190-\u21ff\u27f0-\u27ff]/.test(arrow.char)) arrows.add(name, new Token(name, arrow.char, { ...arrow.attributes, accent: false }));
}

// Letters of text. The parser of \text has a table of its own.
new CommandMap('texlens-letters', Object.fromEntries(Object.entries(LETTERS).map(([name, letter]) => [
  name, (parser) => parser.Push(parser.create('token', 'mtext', {}, letter)),
])));
new CommandMap('texlens-text-letters', Object.fromEntries(Object.entries(LETTERS).map(([name, letter]) => [
  name, (parser) => { parser.text += letter; },
])));
new CommandMap('texlens-text-accents', Object.fromEntries(Object.entries(TEXT_ACCENTS).map(([name, mark]) => [
  name, (parser) => { parser.text += (parser.GetArgument(name) + mark).normalize('NFC'); },
])));
Configuration.create(`${COMMANDS}-text`, { parser: 'text', handler: { macro: ['texlens-text-letters', 'texlens-text-accents'] } });

new DelimiterMap('texlens-delimiters', ParseMethods.delimiter, { '\\lang': '\u27E8', '\\rang': '\u27E9' });
Configuration.create(COMMANDS, {
  handler: { macro: ['texlens-commands', 'texlens-letters', 'texlens-delimiters'], delimiter: ['texlens-delimiters'] },
});

// The colour in force at a \left is that of its delimiter, as it is at a \right.
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

// Outside of CD diagrams an @ is a character.
const at = MapHandler.getMap('amscd_special').lookup('@');
const arrow = at.func;
at._func = (parser, name) => {
  const inDiagram = parser.stack.stack.some((item) => item.getProperty('minw'));
  (inDiagram ? arrow : Other)(parser, name);
};
