// Glyph boxes: the sketch of one formula (sketch.js) as a list of inked things.
//
// Lengths are in 1/1000 em of the base font, y up, the origin at the start of the baseline; the
// rows that leave are in 1/10,000 em. The Python side turns them over and to em.

import { inkOfOutline } from './outline.js';

const KINDS = { glyph: 0, rule: 1, radical: 2, stretch: 3, line: 4 };
export const LINE = 40; // thickness of a table's lines: TeX's 0.4 pt at 10 pt

// What is drawn is read by these parts of structures: 0 base, 1 below, 2 above, as boxes.py says.
const PARTS = {
  mfrac: [0, 1], msqrt: [0], mroot: [0, 1], menclose: [0],
  msub: [0, 1], msup: [0, 2], msubsup: [0, 1, 2],
  munder: [0, 1], mover: [0, 2], munderover: [0, 1, 2],
};

/** Reads one sketch. `rows` holds 12 numbers a box, of which some are indices into `strings`. */
export class BoxReader {
  constructor(sketch) {
    this.strings = [''];
    this.indices = new Map([['', 0]]);
    this.rows = [];
    this.places = new Map(); // MathML node -> its place
    this.names = new Map(); // structural MathML node -> KIND#NUMBER
    const context = { node: null, token: '', color: '', group: null };
    this.readChildren(sketch, 1, 0, 0, context);
  }

  readChildren(sketch, scale, x, y, context) {
    for (const child of sketch.children) this.read(child, scale, x, y, context);
  }

  // (scale, x, y) is the frame of the parent.
  read(sketch, scale, x, y, context) {
    const { kind, attributes } = sketch;
    if (attributes === undefined) return; // a bare text node
    x += 1000 * scale * sketch.x;
    y += 1000 * scale * sketch.y;
    let angle = 0;
    if (attributes.transform) {
      for (const [, name, list] of attributes.transform.matchAll(/(\w+)\(([^)]*)\)/g)) {
        const n = list.split(/[ ,]+/).map(Number);
        if (name === 'translate') {
          x += scale * n[0];
          y += scale * (n[1] || 0);
        } else if (name === 'rotate') angle = n;
      }
    }
    scale *= sketch.scale;
    if (sketch.wrapper || (attributes.fill && !attributes['data-bgcolor']))
      context = this.within(sketch, context);
    switch (kind) {
      case 'glyph':
        this.draw('glyph', String.fromCodePoint(sketch.code), sketch.variant, sketch.ink, scale, x, y, context);
        break;
      case 'g':
        if (context.opens) this.readGroup(sketch, scale, x, y, context);
        else if (attributes['data-mjx-linestack']) this.readLines(sketch, scale, x, y, context);
        else this.readChildren(sketch, scale, x, y, context);
        break;
      case 'svg':
        this.readExtender(sketch, scale, x, y, context);
        break;
      case 'rect':
        this.readRectangle(attributes, scale, x, y, context);
        break;
      case 'line': {
        const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map((name) => Number(attributes[name]));
        const t = attributes['data-line'] ? LINE : Number(attributes['stroke-width']);
        this.draw('line', '', '', stroke(x1, y1, x2, y2, t), scale, x, y, context);
        break;
      }
      case 'ellipse': {
        const [cx, cy, rx, ry, t] = ['cx', 'cy', 'rx', 'ry', 'stroke-width'].map((name) => Number(attributes[name]));
        const [w, h] = [rx + t / 2, ry + t / 2];
        this.draw('line', '', '', [cx - w, cy - h, cx + w, cy + h], scale, x, y, context);
        break;
      }
      case 'polygon':
      case 'path': // arrows and curves of enclosures: few, and their points say enough
        this.draw('line', '', '', turned(extent(attributes), angle), scale, x, y, context);
        break;
      case 'text':
        this.readUnknown(sketch, scale, x, y, context);
        break;
    }
  }

  // The context inside a sketch: its MathML node, the token and the colour.
  within(sketch, outer) {
    const context = { ...outer, opens: false };
    const fill = sketch.attributes.fill;
    if (fill && fill !== 'none' && fill !== 'currentColor') context.color = fill;
    const wrapper = sketch.wrapper;
    if (!wrapper) return context;
    const node = (context.node = wrapper.node);
    const latex = node.attributes.getExplicit('data-latex');
    if (latex) context.token = (node.isToken ? latex : commandOf(latex)) || context.token;
    if (node.isKind('mo') && !context.group) {
      context.root = wrapper.parent?.surd === wrapper;
      if (context.root) context.node = wrapper.parent.node; // the sign is no child of its root
      // size null or 0: the plain glyph; above 0: a larger one; below 0: made of pieces
      context.opens = context.root || (wrapper.stretch.dir !== 0 && Boolean(wrapper.size));
    }
    return context;
  }

  // All ink of a stretched character or a root sign, as one box.
  readGroup(sketch, scale, x, y, context) {
    const group = { ink: null };
    this.readChildren(sketch, scale, x, y, { ...context, opens: false, group });
    if (!group.ink) return;
    const [kind, char] = context.root ? ['radical', '\u221A'] : ['stretch', context.node.getText()];
    this.push(kind, char, 'normal', group.ink, scale, y, context);
  }

  // Lines that `\\` breaks outside any environment are the rows of a table of one column.
  readLines(sketch, scale, x, y, context) {
    const row = context.node && sketch.children[0]?.children[0]?.wrapper?.node.parent;
    sketch.children.forEach((line, i) => {
      if (row) {
        const place = joined(this.place(row), `${this.name(row, 'mtable')}:${i},0`);
        for (const child of line.children) if (child.wrapper) this.places.set(child.wrapper.node, place);
      }
      this.read(line, scale, x, y, context);
    });
  }

  // The middle of a stretched character: a glyph scaled to length and cut to a window.
  readExtender(sketch, scale, x, y, context) {
    const a = sketch.attributes;
    const [left, bottom, w, h] = ['x', 'y', 'width', 'height'].map((name) => Number(a[name]) || 0);
    const [viewX, viewY, viewW, viewH] = String(a.viewBox).split(' ').map(Number);
    const glyph = sketch.children[0];
    if (!glyph?.ink) return;
    const [sx, sy = 1] = (glyph.attributes.transform || 'scale(1)').slice(6, -1).split(',').map(Number);
    const ink = glyph.ink.map((v, i) => (i % 2 ? sy : sx) * v);
    const window = [viewX, viewY, viewX + viewW, viewY + viewH];
    const seen = ink.map((v, i) => (i < 2 ? Math.max(v, window[i]) : Math.min(v, window[i])));
    const [dx, dy] = [left - viewX, bottom - viewY];
    if (w > 0 && h > 0)
      this.draw('stretch', '', '', [seen[0] + dx, seen[1] + dy, seen[2] + dx, seen[3] + dy], scale, x, y, context);
  }

  readRectangle(a, scale, x, y, context) {
    if (a['data-hitbox'] || (a['data-bgcolor'] && !context.node?.isKind('mspace'))) return;
    const [left, bottom, w, h] = ['x', 'y', 'width', 'height'].map((name) => Number(a[name]) || 0);
    if (!a['data-frame'] && a.fill !== 'none') {
      if (w > 0 && h > 0) this.draw('rule', '', '', [left, bottom, left + w, bottom + h], scale, x, y, context);
      return;
    }
    const t = a['data-frame'] ? LINE : Number(a['stroke-width']);
    const [right, top] = [left + w, bottom + h];
    for (const [x1, y1, x2, y2] of [
      [left, bottom, right, bottom], [left, top, right, top],
      [left, bottom, left, top], [right, bottom, right, top],
    ])
      this.draw('line', '', '', stroke(x1, y1, x2, y2, t), scale, x, y, context);
  }

  // Characters that the font lacks: the boxes are estimates.
  readUnknown(sketch, scale, x, y, context) {
    const variant = sketch.attributes['data-variant'] || 'normal';
    for (const char of sketch.children.map((child) => child.value || '').join('')) {
      const width = 1000 * widthOfUnknown(char);
      if (width && char.trim()) this.draw('glyph', char, variant, [50, -50, width - 50, 700], scale, x, y, context);
      x += scale * width;
    }
  }

  draw(kind, char, variant, ink, scale, x, y, context) {
    if (!ink) return;
    const box = [scale * ink[0] + x, scale * ink[1] + y, scale * ink[2] + x, scale * ink[3] + y];
    if (context.group) context.group.ink = union(context.group.ink, box);
    else this.push(kind, char, variant, box, scale, y, context);
  }

  push(kind, char, variant, box, scale, base, context) {
    if (!box.every(Number.isFinite)) throw new Error('has ink without a finite place');
    const node = context.node;
    let place = '';
    if (node) {
      place = this.place(node);
      if (node.kind in PARTS || node.kind === 'mtable') place = joined(place, `${this.name(node)}:-`);
    }
    this.rows.push(
      KINDS[kind], this.index(char), this.index(variant), this.index(context.token), this.index(context.color),
      Math.round(10 * box[0]), Math.round(10 * box[1]), Math.round(10 * box[2]), Math.round(10 * box[3]),
      Math.round(1000 * scale), Math.round(10 * base), this.index(place),
    );
  }

  index(text) {
    let index = this.indices.get(text);
    if (index === undefined) this.indices.set(text, (index = this.strings.push(text) - 1));
    return index;
  }

  place(node) {
    let place = this.places.get(node);
    if (place !== undefined) return place;
    const parent = node.parent;
    place = parent ? this.place(parent) : '';
    if (parent && (parent.kind in PARTS || parent.kind === 'mmultiscripts')) {
      place = joined(place, `${this.name(parent)}:${part(parent, node)}`);
    } else if (node.kind === 'mtd') {
      const table = parent.parent;
      const [row, column] = [table.childNodes.indexOf(parent), parent.childNodes.indexOf(node)];
      place = joined(place, `${this.name(table)}:${row},${column}`);
    }
    this.places.set(node, place);
    return place;
  }

  name(node, kind = node.kind) {
    let name = this.names.get(node);
    if (name === undefined) this.names.set(node, (name = `${kind}#${this.names.size}`));
    return name;
  }
}

/**
 * The width in em of a character that the font lacks: East Asian ones are full width, marks that
 * join, combine or direct have none.
 */
export function widthOfUnknown(char) {
  if (/\p{Cf}|\p{Mn}/u.test(char)) return 0;
  return char.codePointAt(0) >= 0x2e80 ? 1 : 0.6;
}

function part(parent, node) {
  const i = parent.childNodes.indexOf(node);
  if (i < 0) return '-'; // a sign that MathJax adds, as of a root
  if (parent.kind !== 'mmultiscripts') return PARTS[parent.kind][i];
  const before = parent.childNodes.findIndex((child) => child.kind === 'mprescripts');
  if (i === 0) return 0;
  return before < 0 || i < before ? 2 - (i % 2) : 4 - ((i - before) % 2);
}

function joined(place, step) {
  return place ? `${place}/${step}` : step;
}

function commandOf(latex) {
  return /^\\(?:[A-Za-z]+\*?|.)/su.exec(latex)?.[0] ?? '';
}

function union(a, b) {
  return a ? [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])] : b;
}

function stroke(x1, y1, x2, y2, thickness) {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (!length) return null;
  const dx = (Math.abs(y2 - y1) / length) * (thickness / 2);
  const dy = (Math.abs(x2 - x1) / length) * (thickness / 2);
  return [Math.min(x1, x2) - dx, Math.min(y1, y2) - dy, Math.max(x1, x2) + dx, Math.max(y1, y2) + dy];
}

function extent({ points, d, style }) {
  if (d) {
    const ink = inkOfOutline(/[la]/.test(d) ? absolute(d) : d);
    const half = Number(style?.['stroke-width'] ?? 0) / 2;
    return ink && [ink[0] - half, ink[1] - half, ink[2] + half, ink[3] + half];
  }
  const n = (points || '').split(/[ ,]+/).map(Number);
  const [xs, ys] = [n.filter((_, i) => i % 2 === 0), n.filter((_, i) => i % 2 === 1)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

// Relative lines as absolute ones; an arc as a line to its end.
function absolute(d) {
  let [x, y] = [0, 0];
  return d.replace(/([MLlaZ])([^MLlaZ]*)/g, (_, command, list) => {
    if (command === 'Z') return 'Z';
    const n = list.match(/-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?/g).map(Number);
    const [dx, dy] = n.slice(-2);
    [x, y] = command === 'M' || command === 'L' ? [dx, dy] : [x + dx, y + dy];
    return `${command === 'M' ? 'M' : 'L'}${x} ${y}`;
  });
}

function turned(ink, angle) {
  if (!ink || !angle) return ink;
  const [degrees, cx, cy] = angle;
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  const corners = [0, 2].flatMap((i) => [1, 3].map((j) => [ink[i] - cx, ink[j] - cy]));
  const [xs, ys] = [corners.map(([u, v]) => cx + u * cos - v * sin), corners.map(([u, v]) => cy + u * sin + v * cos)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
