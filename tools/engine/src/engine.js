// What the Python side calls: five functions on lists of formulas. Each returns a JSON list with,
// for every formula, [0, result] or [1, message, position or null]. `stopped` tells, after a call was
// stopped, [its answers so far, the seconds that its last formula took].

import * as mathjax from './mathjax.js';
import * as katex from './katex.js';

// Answers so far, and when the formula at work was begun: what is left to tell when V8 is stopped.
let answers = [];
let begun = 0;

function each(formulas, work) {
  answers = [];
  for (const formula of formulas) {
    begun = Date.now();
    try {
      answers.push([0, work(formula)]);
    } catch (error) {
      answers.push([1, messageOf(error), typeof error?.position === 'number' ? error.position : null]);
    }
  }
  return JSON.stringify(answers);
}

// What no XML and no UTF-8 can hold becomes the replacement character, one for one.
function wellFormed(text) {
  return text.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd');
}

function messageOf(error) {
  const message = wellFormed(String(error?.rawMessage ?? error?.message ?? error));
  return /call stack|too much recursion/i.test(message) ? 'is nested too deeply' : message;
}

globalThis.texlens = {
  parse: (formulas) => each(formulas, katex.parse),
  tree: (formulas) => each(formulas, katex.tree),
  draw: (formulas, display) => each(formulas, (formula) => mathjax.draw(wellFormed(formula), display)),
  svg: (formulas, display) => each(formulas, (formula) => mathjax.svg(wellFormed(formula), display)),
  mathml: (formulas, display) => each(formulas, (formula) => mathjax.mathml(wellFormed(formula), display)),
  stopped: () => JSON.stringify([answers, (Date.now() - begun) / 1000]),
  versions: { mathjax: mathjax.version, katex: katex.version },
};
