// Commands that MathJax lacks and a macro cannot express.

import { Other } from '@mathjax/src/mjs/input/tex/base/BaseConfiguration.js';
import { LeftItem } from '@mathjax/src/mjs/input/tex/base/BaseItems.js';
import { Configuration } from '@mathjax/src/mjs/input/tex/Configuration.js';
import { CommandMap } from '@mathjax/src/mjs/input/tex/TokenMap.js';
import { MapHandler } from '@mathjax/src/mjs/input/tex/MapHandler.js';
import '@mathjax/src/mjs/input/tex/amscd/AmsCdConfiguration.js';
import { ColorModel } from '@mathjax/src/mjs/input/tex/color/ColorUtil.js';

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

new CommandMap('texlens-commands', {
  // \mathcolor[model]{c}{x}: colour without a group around x, so that spacing stays as it was.
  mathcolor(parser, name) {
    const model = parser.GetBrackets(name, '');
    const color = parser.configuration.packageData.get('color').model.getColor(model, parser.GetArgument(name));
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
    parser.GetArgument(name);
    parser.GetArgument(name);
    insert(parser, `{${parser.GetArgument(name)}}`);
  },
  // \tag stands at the margin, where a picture of one formula has none: it follows the formula.
  tag(parser, name) {
    const bare = parser.GetStar();
    const text = parser.GetArgument(name);
    insert(parser, bare ? `\\qquad \\text{${text}}` : `\\qquad (\\text{${text}})`);
  },
  // Nothing is fetched, run or linked: \href is its text.
  href(parser, name) {
    parser.GetArgument(name);
    parser.Push(parser.ParseArg(name));
  },
});
Configuration.create(COMMANDS, { handler: { macro: ['texlens-commands'] } });

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
