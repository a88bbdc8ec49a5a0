// KaTeX, as a parser alone: is this LaTeX valid, and what is its tree?

import katex from 'katex';
import { KATEX_ONLY, SHARED } from './macros.js';

const macros = {};
for (const [name, [text]] of Object.entries({ ...SHARED, ...KATEX_ONLY })) macros[`\\${name}`] = text;

function parsed(latex) {
  return katex.__parse(latex, {
    displayMode: true, throwOnError: true, strict: 'ignore', trust: false, maxExpand: 1000,
    macros: { ...macros }, // a copy: \gdef writes into it
  });
}

/** null where the formula is valid; throws KaTeX's error where not. */
export function parse(latex) {
  parsed(latex);
  return null;
}

/** KaTeX's tree, each node with `loc` as [start, end] in the formula. */
export function tree(latex) {
  return JSON.parse(JSON.stringify(parsed(latex), (key, value) => (key === 'loc' && value ? [value.start, value.end] : value)));
}

export const version = katex.version;
