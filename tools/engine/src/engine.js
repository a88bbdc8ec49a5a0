// What the Python side calls: five functions on lists of formulas. Each returns a JSON list with,
// for every formula, [0, result] or [1, message, position or null].

import * as mathjax from './mathjax.js';
import * as katex from './katex.js';

function each(formulas, work) {
  return JSON.stringify(formulas.map((formula) => {
    try {
      return [0, work(formula)];
    } catch (error) {
      return [1, messageOf(error), typeof error?.position === 'number' ? error.position : null];
    }
  }));
}

function messageOf(error) {
  const message = String(error?.rawMessage ?? error?.message ?? error);
  return /call stack|too much recursion/i.test(message) ? 'is nested too deeply' : message;
}

globalThis.texlens = {
  parse: (formulas) => each(formulas, katex.parse),
  tree: (formulas) => each(formulas, katex.tree),
  draw: (formulas, display) => each(formulas, (formula) => mathjax.draw(formula, display)),
  svg: (formulas, display) => each(formulas, (formula) => mathjax.svg(formula, display)),
  mathml: (formulas, display) => each(formulas, (formula) => mathjax.mathml(formula, display)),
  versions: { mathjax: mathjax.version, katex: katex.version },
};
