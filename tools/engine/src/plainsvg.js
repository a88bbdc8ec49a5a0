// SVG that needs no style sheet and holds nothing but shapes.

import { LINE } from './boxes.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** [SVG text, width, height, depth] of MathJax's <svg>, the size in 1/1000 em. */
export function plainSvg(svg, adaptor) {
  const viewBox = adaptor.getAttribute(svg, 'viewBox');
  const [, y, width, height] = viewBox.split(' ').map(Number);
  for (const child of svg.children) strip(child);
  svg.attributes = {
    xmlns: NAMESPACE, viewBox, width: `${width / 1000}em`, height: `${height / 1000}em`, role: 'img',
  };
  return [adaptor.serializeXML(svg), width, -y, height + y];
}

/** Whether an attribute's value is a colour and nothing else, such as a reference. */
export function isColor(value) {
  return /^(?:#[0-9a-f]{3,8}|[a-z]+|rgba?\([\d.,% ]+\))$/i.test(value);
}

const ALLOWED = new Set([
  'xmlns', 'viewBox', 'width', 'height', 'x', 'y', 'x1', 'y1', 'x2', 'y2', 'cx', 'cy', 'rx', 'ry', 'd', 'points',
  'transform', 'fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linecap', 'stroke-linejoin',
  'preserveAspectRatio', 'font-family', 'font-size', 'font-style', 'font-weight',
]);

// What MathJax's style sheet says about strokes goes into attributes; links, classes, styles and
// notes go.
function strip(node) {
  const a = node.attributes;
  if (!a) return;
  const table = a['data-line'] !== undefined || a['data-frame'] !== undefined;
  if (table) a['stroke-width'] = LINE;
  if (table && node.kind === 'rect') a.fill = 'none';
  const own = /stroke-width: *([\d.]+)/.exec(a.style || '');
  if (own) a['stroke-width'] = own[1];
  if (/dashed/.test(a.class || '')) a['stroke-dasharray'] = 4 * LINE;
  if (/dotted/.test(a.class || '')) Object.assign(a, { 'stroke-dasharray': `0,${4 * LINE}`, 'stroke-linecap': 'round' });
  for (const name of Object.keys(a))
    if (!ALLOWED.has(name) || (/^(?:fill|stroke)$/.test(name) && !isColor(a[name]))) delete a[name];
  for (const child of node.children || []) strip(child);
}
