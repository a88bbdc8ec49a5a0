// Commands that KaTeX knows and MathJax does not, so that whatever KaTeX accepts can be drawn, and a
// few that neither knows. Left out are KaTeX's colours of its own, boxes that need a browser, and
// primitives of TeX's macro language.

const operators = (...names) => names.map((name) => [name, `\\operatorname{${name}}`]);
const capitals = (pairs) => Object.entries(pairs).map(([name, letter]) => [name, `\\mathrm{${letter}}`]);
const same = (pairs) => Object.entries(pairs).map(([name, other]) => [name, `\\${other}`]);

/** Letters and signs of text, in text and in mathematics. */
export const LETTERS = {
  P: '¶', copyright: '©', pounds: '£', mathsterling: '£', lq: '‘', rq: '’', KaTeX: 'KaTeX',
  i: 'ı', j: 'ȷ', l: 'ł', L: 'Ł', o: 'ø', O: 'Ø', ae: 'æ', AE: 'Æ', oe: 'œ', OE: 'Œ', ss: 'ß', aa: 'å',
};

/** Accents of text that MathJax lacks, as combining marks. */
export const TEXT_ACCENTS = { c: '\u0327', r: '\u030A', H: '\u030B', k: '\u0328' };

/** [name, replacement, number of arguments] */
export const SYNONYMS = [
  ...operators('arctg', 'arcctg', 'ch', 'cosec', 'cotg', 'ctg', 'cth', 'sh', 'tg', 'th', 'sgn', 'arccot', 'arcsec', 'arccsc'),
  ['argmin', '\\operatorname*{arg\\,min}'],
  ['argmax', '\\operatorname*{arg\\,max}'],
  ['plim', '\\operatorname*{plim}'],
  ['operatornamewithlimits', '\\operatorname*{#1}', 1],
  ...capitals({
    Alpha: 'A', Beta: 'B', Epsilon: 'E', Zeta: 'Z', Eta: 'H', Iota: 'I', Kappa: 'K', Mu: 'M', Nu: 'N',
    Omicron: 'O', Rho: 'P', Tau: 'T', Chi: 'X',
  }),
  ...Object.entries({ C: 'C', Q: 'Q', N: 'N', natnums: 'N', R: 'R', reals: 'R', Reals: 'R', Z: 'Z', cnums: 'C', Complex: 'C' })
    .map(([name, letter]) => [name, `\\mathbb{${letter}}`]),
  ...same({
    mathellipsis: 'ldots', varvdots: 'vdots', dotsx: 'dots', thickspace: ';', sect: 'S',
    uarr: 'uparrow', darr: 'downarrow', larr: 'leftarrow', rarr: 'rightarrow', harr: 'leftrightarrow',
    lrarr: 'leftrightarrow', uArr: 'Uparrow', dArr: 'Downarrow', lArr: 'Leftarrow', rArr: 'Rightarrow',
    hArr: 'Leftrightarrow', lrArr: 'Leftrightarrow', Uarr: 'Uparrow', Darr: 'Downarrow',
    Larr: 'Leftarrow', Rarr: 'Rightarrow', Harr: 'Leftrightarrow', Lrarr: 'Leftrightarrow',
    alef: 'aleph', alefsym: 'aleph', bull: 'bullet', clubs: 'clubsuit', diamonds: 'diamondsuit',
    hearts: 'heartsuit', spades: 'spadesuit', Dagger: 'ddagger', empty: 'emptyset', exist: 'exists',
    image: 'Im', real: 'Re', infin: 'infty', isin: 'in', plusmn: 'pm', sdot: 'cdot', sub: 'subset',
    sube: 'subseteq', supe: 'supseteq', thetasym: 'vartheta', weierp: 'wp',
    coloncolon: 'dblcolon', colonequals: 'coloneqq', coloncolonequals: 'Coloneqq',
    equalscolon: 'eqqcolon', equalscoloncolon: 'Eqqcolon', colonminus: 'coloneq',
    coloncolonminus: 'Coloneq', minuscolon: 'eqcolon', minuscoloncolon: 'Eqcolon',
    coloncolonapprox: 'Colonapprox', coloncolonsim: 'Colonsim',
  }),
  ['slash', '/'],
  ['ratio', ':'],
  ['simcoloncolon', '\\sim\\dblcolon'],
  ['approxcoloncolon', '\\approx\\dblcolon'],
  ['notni', '\\not\\ni'],
  ['mapsfrom', '\\mathrel{\\unicode{x21A4}}'],
  ['llbracket', '\\mathopen{⟦}'],
  ['rrbracket', '\\mathclose{⟧}'],
  ['lBrace', '\\mathopen{\\{\\mkern-3.2mu|}'],
  ['rBrace', '\\mathclose{|\\mkern-3.2mu\\}}'],
  ['enskip', '\\hskip 0.5em '],
  ...['DOTSI', 'DOTSB', 'DOTSX', '-', 'smallskip', 'medskip', 'bigskip'].map((name) => [name, '']),
  ['bold', '\\mathbf{#1}', 1],
  ['sout', '\\enclose{horizontalstrike}{\\text{#1}}', 1],
  ['phase', '\\enclose{phasorangle}{#1}', 1],
  ['angl', '\\enclose{actuarial}{#1}', 1],
  ['angln', '\\enclose{actuarial}{n}'],
  ['url', '\\texttt{#1}', 1],
  ['TextOrMath', '#2', 2],
  ['setlength', '', 2],
  ['textcircled', '\\enclose{circle}{\\text{#1}}', 1],
  ['underbar', '\\underline{#1}', 1],
  ['widecheck', '\\check{#1}', 1],
  ['Overrightarrow', '\\overset{\\Rightarrow}{#1}', 1],
  ['overleftharpoon', '\\overset{\\leftharpoonup}{#1}', 1],
  ['overrightharpoon', '\\overset{\\rightharpoonup}{#1}', 1],
  ['wideparen', '\\overparen{#1}', 1],
  ['overarc', '\\overparen{#1}', 1],
  ['nicefrac', '{}^{#1}\\!/\\!_{#2}', 2],
  ['sfrac', '{}^{#1}\\!/\\!_{#2}', 2],
  ['eqno', '\\qquad '],
  ['leqno', '\\qquad '],
  ['overgroup', '\\overparen{#1}', 1],
  ['undergroup', '\\underparen{#1}', 1],
  ['overlinesegment', '\\overline{#1}', 1],
  ['underlinesegment', '\\underline{#1}', 1],
  ['utilde', '\\underset{\\sim}{#1}', 1],
  ['xrightleftarrows', '\\xleftrightarrow[#1]{#2}', 2, ''],
  ['xrightequilibrium', '\\xrightleftharpoons[#1]{#2}', 2, ''],
  ['xleftequilibrium', '\\xleftrightharpoons[#1]{#2}', 2, ''],
];
