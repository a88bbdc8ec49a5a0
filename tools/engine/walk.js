// Glyph boxes: the SVG tree of one formula as a list of inked things with their boxes.
//
// Every box is in thousandths of an em of the base font, y up, origin at the start of the baseline;
// the Python side turns it to em, y down.

// Ink boxes of outlines, exact at the curves' extrema. Outlines come from the font, so few differ.
const outlines = new Map();

export function outlineBox(d) {
  let box = outlines.get(d);
  if (box === undefined) {
    box = measureOutline(d);
    outlines.set(d, box);
  }
  return box;
}

function measureOutline(d) {
  let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
  let x = 0, y = 0, startX = 0, startY = 0, handleX = 0, handleY = 0, last = '';
  const put = (px, py) => {
    if (px < x0) x0 = px;
    if (px > x1) x1 = px;
    if (py < y0) y0 = py;
    if (py > y1) y1 = py;
  };
  const quadratic = (ax, ay, bx, by, cx, cy) => {
    put(cx, cy);
    for (const [a, b, c] of [[ax, bx, cx], [ay, by, cy]]) {
      const t = (a - b) / (a - 2 * b + c);
      if (t > 0 && t < 1) {
        const u = 1 - t;
        put(u * u * ax + 2 * u * t * bx + t * t * cx, u * u * ay + 2 * u * t * by + t * t * cy);
      }
    }
  };
  const cubic = (ax, ay, bx, by, cx, cy, ex, ey) => {
    put(ex, ey);
    for (const [a, b, c, e] of [[ax, bx, cx, ex], [ay, by, cy, ey]]) {
      const p = -a + 3 * b - 3 * c + e, q = 2 * (a - 2 * b + c), r = b - a;
      const roots = [];
      if (Math.abs(p) < 1e-9) {
        if (q) roots.push(-r / q);
      } else {
        const root = Math.sqrt(q * q - 4 * p * r);
        roots.push((-q + root) / (2 * p), (-q - root) / (2 * p));
      }
      for (const t of roots) {
        if (t > 0 && t < 1) {
          const u = 1 - t;
          const k = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
          put(k[0] * ax + k[1] * bx + k[2] * cx + k[3] * ex, k[0] * ay + k[1] * by + k[2] * cy + k[3] * ey);
        }
      }
    }
  };
  for (const [, letter, rest] of d.matchAll(/([a-zA-Z])([^a-zA-Z]*)/g)) {
    const numbers = (rest.match(/-?(?:\d+\.?\d*|\.\d+)/g) || []).map(Number);
    const relative = letter >= 'a';
    const command = letter.toUpperCase();
    if (command === 'Z') {
      x = startX; y = startY; last = command;
      continue;
    }
    const size = { M: 2, L: 2, T: 2, H: 1, V: 1, Q: 4, S: 4, C: 6 }[command];
    for (let i = 0; i + size <= numbers.length; i += size) {
      const n = numbers.slice(i, i + size);
      if (relative) {
        if (command === 'H') n[0] += x;
        else if (command === 'V') n[0] += y;
        else for (let k = 0; k < size; k += 2) { n[k] += x; n[k + 1] += y; }
      }
      const fromX = x, fromY = y;
      if (command === 'H') x = n[0];
      else if (command === 'V') y = n[0];
      else { x = n[size - 2]; y = n[size - 1]; }
      if (command === 'M' && i === 0) {
        startX = x; startY = y;
        // A move alone draws nothing; what follows it does.
      } else if (command === 'Q') {
        handleX = n[0]; handleY = n[1];
        put(fromX, fromY);
        quadratic(fromX, fromY, handleX, handleY, x, y);
      } else if (command === 'T') {
        if (last === 'Q' || last === 'T') { handleX = 2 * fromX - handleX; handleY = 2 * fromY - handleY; }
        else { handleX = fromX; handleY = fromY; }
        put(fromX, fromY);
        quadratic(fromX, fromY, handleX, handleY, x, y);
      } else if (command === 'C' || command === 'S') {
        let [ax, ay] = [n[0], n[1]];
        if (command === 'S') {
          [ax, ay] = last === 'C' || last === 'S' ? [2 * fromX - handleX, 2 * fromY - handleY] : [fromX, fromY];
        }
        [handleX, handleY] = [n[size - 4], n[size - 3]];
        put(fromX, fromY);
        cubic(fromX, fromY, ax, ay, handleX, handleY, x, y);
      } else {
        put(fromX, fromY);
        put(x, y);
      }
      last = command;
    }
  }
  return x0 <= x1 ? [x0, y0, x1, y1] : null;
}

const KINDS = { glyph: 0, rule: 1, radical: 2, stretch: 3, line: 4 };
const LINE = 70; // thickness of a table's line or an enclosure's stroke, as MathJax styles it

// Structures whose parts are named in a box's place, and the names of the parts, in the order in
// which MathJax writes them into its SVG.
const PARTS = {
  mfrac: ['0', '1'], msub: ['0', '1'], msup: ['0', '2'], msubsup: ['0', '2', '1'],
  munder: ['0', '1'], mover: ['0', '2'], munderover: ['0', '1', '2'],
  msqrt: ['0'], mroot: ['0', '1'], menclose: ['0'], mmultiscripts: [],
};

const TRANSFORM = /(translate|scale|matrix)\(([^)]*)\)/g;

function moved(at, transform) {
  if (!transform) return at;
  let [sx, sy, x, y] = at;
  for (const [, name, list] of transform.matchAll(TRANSFORM)) {
    const n = list.split(/[ ,]+/).map(Number);
    if (name === 'translate') { x += sx * n[0]; y += sy * (n[1] || 0); }
    else if (name === 'scale') { sx *= n[0]; sy *= n.length > 1 ? n[1] : n[0]; }
    else { x += sx * n[4]; y += sy * n[5]; sx *= n[0]; sy *= n[3]; }
  }
  return [sx, sy, x, y];
}

/** The boxes below the node `root`, each [kind, code points, variant, token, colour, x0, y0, x1, y1,
 *  scale, base, place]; strings that repeat are numbers into `strings`. */
export function walk(root) {
  const rows = [];
  const strings = [''];
  const numbers = new Map([['', 0]]);
  const intern = (text) => {
    let number = numbers.get(text);
    if (number === undefined) {
      number = strings.push(text) - 1;
      numbers.set(text, number);
    }
    return number;
  };
  let structures = 0;
  const emit = (kind, character, variant, context, at, box, scale = Math.abs(at[0])) => {
    const [sx, sy, x, y] = at;
    const xa = x + sx * box[0], xb = x + sx * box[2], ya = y + sy * box[1], yb = y + sy * box[3];
    rows.push([
      KINDS[kind], intern(character), intern(variant), intern(context.token), intern(context.color),
      Math.round(10 * Math.min(xa, xb)), Math.round(10 * Math.min(ya, yb)),
      Math.round(10 * Math.max(xa, xb)), Math.round(10 * Math.max(ya, yb)),
      Math.round(1000 * scale), Math.round(10 * y), intern(context.place),
    ]);
  };

  /** The union of all outlines below a node, in the node's own coordinates. */
  const union = (node, at, box) => {
    const a = node.attributes || {};
    const here = moved(at, a.transform);
    if (node.kind === 'path') {
      const own = outlineBox(a.d || '');
      if (own) {
        const [sx, sy, x, y] = here;
        box[0] = Math.min(box[0], x + sx * own[0], x + sx * own[2]);
        box[1] = Math.min(box[1], y + sy * own[1], y + sy * own[3]);
        box[2] = Math.max(box[2], x + sx * own[0], x + sx * own[2]);
        box[3] = Math.max(box[3], y + sy * own[1], y + sy * own[3]);
      }
    } else if (node.kind === 'svg') {
      // The middle of a stretched delimiter: an outline scaled to length and clipped to this window.
      const [x, y, w, h] = ['x', 'y', 'width', 'height'].map((name) => Number(a[name]) || 0);
      const inner = [Infinity, Infinity, -Infinity, -Infinity];
      for (const child of node.children) union(child, [1, 1, 0, 0], inner);
      const [vx, vy, vw, vh] = (a.viewBox || `0 0 ${w} ${h}`).split(' ').map(Number);
      if (inner[0] <= inner[2]) {
        box[0] = Math.min(box[0], here[2] + x + Math.max(inner[0], vx) - vx);
        box[1] = Math.min(box[1], here[3] + y + Math.max(inner[1], vy) - vy);
        box[2] = Math.max(box[2], here[2] + x + Math.min(inner[2], vx + vw) - vx);
        box[3] = Math.max(box[3], here[3] + y + Math.min(inner[3], vy + vh) - vy);
      }
    } else {
      for (const child of node.children || []) union(child, here, box);
    }
    return box;
  };

  const visit = (node, at, context) => {
    const a = node.attributes;
    if (!a || node.kind === 'defs' || node.kind === 'title') return;
    const kind = node.kind;
    let here = moved(at, a.transform);
    if (a.fill !== undefined && a.fill !== 'currentColor' && a.fill !== 'none') {
      context = { ...context, color: a.fill };
    }
    const mml = a['data-mml-node'];
    if (mml !== undefined) {
      const latex = a['data-latex'];
      const token = mml === 'mi' || mml === 'mo' || mml === 'mn' || mml === 'mtext' || mml === 'ms'
        ? latex : latex && (/^\\(?:[a-zA-Z]+|.)/.exec(latex) || [''])[0];
      context = { ...context, token: token || context.token, variant: '' };
    }
    if (kind === 'path') {
      if (a['data-c'] === undefined) {
        const box = outlineBox(a.d || '');
        if (box) emit('line', '', '', context, here, box);
        return;
      }
      const box = outlineBox(a.d || '');
      const character = String.fromCodePoint(parseInt(a['data-c'], 16));
      if (box) emit(context.radical ? 'radical' : 'glyph', character, a['data-v'] || '', context, here, box);
      return;
    }
    if (kind === 'text') {
      // A character that the font lacks: its size is a guess, one em high and half as wide.
      const text = node.children.map((child) => child.value || '').join('');
      let x = 0;
      for (const character of text) {
        const wide = character.codePointAt(0) >= 0x2e80 ? 1000 : 500;
        // The text's own transform turns it upright again.
        emit('glyph', character, a['data-variant'] || 'normal', context, [at[0], at[1], here[2], here[3]], [x, 0, x + wide - 50, 700]);
        x += wide;
      }
      return;
    }
    const number = (name) => Number(a[name]) || 0;
    if (kind === 'rect') {
      if (a['data-bgcolor'] || a['data-hitbox']) return;
      const [x, y, w, h] = ['x', 'y', 'width', 'height'].map(number);
      if (a['data-frame'] !== undefined || a.fill === 'none' || a['data-border'] !== undefined) {
        const own = { ...context, place: context.place };
        for (const box of [[x, y - LINE / 2, x + w, y + LINE / 2], [x, y + h - LINE / 2, x + w, y + h + LINE / 2],
          [x - LINE / 2, y, x + LINE / 2, y + h], [x + w - LINE / 2, y, x + w + LINE / 2, y + h]]) {
          emit('line', '', '', own, here, box);
        }
      } else if (w && h) emit('rule', '', '', context, here, [x, y, x + w, y + h]);
      return;
    }
    if (kind === 'line') {
      const [xa, ya, xb, yb] = ['x1', 'y1', 'x2', 'y2'].map(number);
      const fat = xa === xb || ya === yb ? LINE / 2 : 0;
      emit('line', '', '', context, here, [
        Math.min(xa, xb) - (xa === xb ? fat : 0), Math.min(ya, yb) - (ya === yb ? fat : 0),
        Math.max(xa, xb) + (xa === xb ? fat : 0), Math.max(ya, yb) + (ya === yb ? fat : 0)]);
      return;
    }
    if (kind === 'polygon' || kind === 'ellipse' || kind === 'polyline') {
      let box;
      if (kind === 'ellipse') {
        box = [number('cx') - number('rx'), number('cy') - number('ry'), number('cx') + number('rx'), number('cy') + number('ry')];
      } else {
        const points = (a.points || '').split(/[ ,]+/).map(Number);
        const xs = points.filter((_, i) => i % 2 === 0), ys = points.filter((_, i) => i % 2 === 1);
        box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
      }
      emit('line', '', '', context, here, box);
      return;
    }
    if (mml === 'mo' && a['data-stretch'] !== undefined) {
      const box = union(node, at, [Infinity, Infinity, -Infinity, -Infinity]);
      const radical = context.inRoot;
      if (box[0] <= box[2]) {
        emit(radical ? 'radical' : 'stretch', radical ? '\u221a' : a['data-stretch'], 'normal', context, [1, 1, 0, here[3]],
          [box[0], box[1] - here[3], box[2], box[3] - here[3]], Math.abs(here[0]));
      }
      return;
    }
    if (kind === 'svg') here = [here[0], here[1], here[2] + here[0] * number('x'), here[3] + here[1] * number('y')];
    const children = node.children;
    if (mml === 'mtable') {
      const id = `mtable#${structures++}`;
      let row = -1;
      const table = (parent, place) => {
        for (const child of parent.children || []) {
          const b = child.attributes;
          if (!b) continue;
          const name = b['data-mml-node'];
          if (name === 'mtr' || name === 'mlabeledtr') {
            row++;
            let column = 0;
            const inRow = moved(place, b.transform);
            for (const cell of child.children || []) {
              if (!cell.attributes) continue;
              if (cell.attributes['data-mml-node'] === 'mtd') {
                visit(cell, inRow, { ...context, place: join(context.place, `${id}:${row},${column++}`) });
              } else visit(cell, inRow, { ...context, place: join(context.place, `${id}:-`) });
            }
          } else if (child.kind === 'g' || child.kind === 'svg') {
            let inner = moved(place, b.transform);
            if (child.kind === 'svg') inner = [inner[0], inner[1], inner[2] + inner[0] * (Number(b.x) || 0), inner[3] + inner[1] * (Number(b.y) || 0)];
            if (name === 'mtd') visit(child, place, { ...context, place: join(context.place, `${id}:tag`) });
            else table(child, inner);
          } else visit(child, place, { ...context, place: join(context.place, `${id}:-`) });
        }
      };
      table(node, here);
      return;
    }
    if (a['data-mjx-linestack'] !== undefined) {
      // Lines broken by `\\` outside any environment stand under each other as a table's rows do.
      const id = `mtable#${structures++}`;
      children.filter((line) => line.attributes).forEach((line, row) => {
        visit(line, here, { ...context, place: join(context.place, `${id}:${row},0`) });
      });
      return;
    }
    const parts = PARTS[mml];
    if (parts) {
      const id = `${mml}#${structures++}`;
      let part = 0;
      const root = mml === 'msqrt' || mml === 'mroot';
      for (const child of children) {
        const b = child.attributes;
        if (!b) continue;
        const drawnHere = child.kind === 'rect' || child.kind === 'line' || child.kind === 'path' || child.kind === 'polygon' || child.kind === 'ellipse';
        if (drawnHere) {
          visit(child, here, { ...context, place: join(context.place, `${id}:-`) });
        } else if (root && b['data-mml-node'] === 'mo') {
          visit(child, here, { ...context, radical: true, inRoot: true, place: join(context.place, `${id}:-`) });
        } else {
          // MathJax writes a root's index before or after its radicand; the index is the smaller one.
          let name = parts[Math.min(part, parts.length - 1)];
          if (mml === 'mroot') name = scaled(child) ? '1' : '0';
          if (mml === 'mmultiscripts') {
            // Scripts before the base, the base, scripts after it; only the base is a MathML node.
            const raised = moved([1, 1, 0, 0], b.transform)[3] > 0;
            const isBase = b['data-mml-node'] !== undefined;
            name = isBase ? '0' : part ? (raised ? '2' : '1') : (raised ? '4' : '3');
            if (!isBase) part--;
          }
          part++;
          visit(child, here, { ...context, radical: false, inRoot: false, place: join(context.place, `${id}:${name}`) });
        }
      }
      return;
    }
    for (const child of children) visit(child, here, context);
  };
  const join = (place, step) => (place ? `${place}/${step}` : step);
  const scaled = (node) => {
    for (let depth = 0; node && depth < 3; depth++) {
      if (/scale\(/.test((node.attributes || {}).transform || '')) return true;
      const inner = (node.children || []).filter((child) => child.attributes);
      if (inner.length !== 1) return false;
      node = inner[0];
    }
    return false;
  };
  visit(root, [1, 1, 0, 0], { token: '', color: '', place: '', radical: false, inRoot: false });
  return { strings, rows };
}
