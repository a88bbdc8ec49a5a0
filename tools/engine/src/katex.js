// KaTeX, as a parser alone: is this LaTeX valid, and what is its tree?

import katex from 'katex';
import 'katex/contrib/mhchem';
import { KATEX_ONLY, SHARED } from './macros.js';

// KaTeX takes as many arguments as the replacement names; those that it does not name are dropped.
const macros = {};
for (const [name, [text, count]] of Object.entries({ ...SHARED, ...KATEX_ONLY })) {
  const numbers = Array.from({ length: count }, (_, i) => `#${i + 1}`);
  const all = numbers.every((number) => text.includes(number));
  macros[`\\${name}`] = all ? text : `\\@secondoftwo{${numbers.join('')}}{${text}}`;
}

function parsed(latex) {
  return katex.__parse(latex, {
    displayMode: true, throwOnError: true, strict: 'ignore', trust: false, maxExpand: 10_000,
    macros: { ...macros }, // a copy: \gdef writes into it
  });
}

/** null where the formula is valid; throws KaTeX's error where not. */
export function parse(latex) {
  parsed(latex);
  return null;
}

/** KaTeX's tree as plain lists and objects, `loc` as [start, end] in the formula. */
export function tree(latex) {
  return plain(parsed(latex), 0);
}

const MAX_LEVELS = 400; // of lists and objects: readers of JSON give up not far beyond

function plain(value, level) {
  if (level > MAX_LEVELS) throw new Error('is nested too deeply');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => plain(item, level + 1));
  const object = {};
  for (const [key, item] of Object.entries(value))
    object[key] = key === 'loc' && item ? [item.start, item.end] : plain(item, level + 1);
  return object;
}

export const version = katex.version;
