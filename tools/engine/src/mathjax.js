// MathJax, set up for the engine: LaTeX in, the output tree of its SVG writer out.

import { mathjax } from '@mathjax/src/js/mathjax.js';
import { TeX } from '@mathjax/src/js/input/tex.js';
import FilterUtil from '@mathjax/src/js/input/tex/FilterUtil.js';
import { SVG } from '@mathjax/src/js/output/svg.js';
import { liteAdaptor } from '@mathjax/src/js/adaptors/liteAdaptor.js';
import { RegisterHTMLHandler } from '@mathjax/src/js/handlers/html.js';
import { SerializedMmlVisitor } from '@mathjax/src/js/core/MmlTree/SerializedMmlVisitor.js';
import { MathJaxTexFont } from '@mathjax/mathjax-tex-font/js/svg.js';

import '@mathjax/src/js/input/tex/ams/AmsConfiguration.js';
import '@mathjax/src/js/input/tex/amscd/AmsCdConfiguration.js';
import '@mathjax/src/js/input/tex/boldsymbol/BoldsymbolConfiguration.js';
import '@mathjax/src/js/input/tex/braket/BraketConfiguration.js';
import '@mathjax/src/js/input/tex/cancel/CancelConfiguration.js';
import '@mathjax/src/js/input/tex/cases/CasesConfiguration.js';
import '@mathjax/src/js/input/tex/centernot/CenternotConfiguration.js';
import '@mathjax/src/js/input/tex/color/ColorConfiguration.js';
import '@mathjax/src/js/input/tex/colortbl/ColortblConfiguration.js';
import '@mathjax/src/js/input/tex/empheq/EmpheqConfiguration.js';
import '@mathjax/src/js/input/tex/enclose/EncloseConfiguration.js';
import '@mathjax/src/js/input/tex/extpfeil/ExtpfeilConfiguration.js';
import '@mathjax/src/js/input/tex/gensymb/GensymbConfiguration.js';
import '@mathjax/src/js/input/tex/mathtools/MathtoolsConfiguration.js';
import '@mathjax/src/js/input/tex/mhchem/MhchemConfiguration.js';
import '@mathjax/src/js/input/tex/newcommand/NewcommandConfiguration.js';
import '@mathjax/src/js/input/tex/textcomp/TextcompConfiguration.js';
import '@mathjax/src/js/input/tex/textmacros/TextMacrosConfiguration.js';
import '@mathjax/src/js/input/tex/unicode/UnicodeConfiguration.js';
import '@mathjax/src/js/input/tex/upgreek/UpgreekConfiguration.js';

const PACKAGES = [
  'base', 'ams', 'amscd', 'boldsymbol', 'braket', 'cancel', 'cases', 'centernot', 'color',
  'colortbl', 'empheq', 'enclose', 'extpfeil', 'gensymb', 'mathtools', 'mhchem', 'newcommand',
  'textcomp', 'textmacros', 'unicode', 'upgreek',
];

const adaptor = liteAdaptor();
RegisterHTMLHandler(adaptor);

export const tex = new TeX({
  packages: PACKAGES,
  tags: 'none',
  maxMacros: 1000,
  maxBuffer: 64 * 1024,
  formatError: (_jax, error) => {
    throw error;
  },
});

export const output = new SVG({
  fontData: MathJaxTexFont,
  fontCache: 'none',
  useXlink: false,
  displayOverflow: 'overflow',
  linebreaks: { inline: false },
});

const page = mathjax.document('', { InputJax: tex, OutputJax: output });
const mathml = new SerializedMmlVisitor();

// No user command outlives its formula.
function compile(latex, display) {
  const item = new page.options.MathItem(latex, tex, display);
  item.setMetrics(16, 8, 80 * 16, 1);
  tex.reset();
  item.compile(page);
  return item;
}

/** The output tree of a formula: {container: <mjx-container> element, box: its bounding box}. */
export function typeset(latex, display) {
  const item = compile(latex, display);
  const container = output.typeset(item, page);
  return adaptor.firstChild(container);
}

export function toMathML(latex, display) {
  return mathml.visitTree(compile(latex, display).root);
}

export function serialize(element) {
  return adaptor.serializeXML(element);
}

export const version = mathjax.version;
