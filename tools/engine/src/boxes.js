// Ink boxes from the output tree of MathJax's SVG writer. Lengths are 1/1000 em, y up, until the
// very end.

const INK = new Map(); // path data -> [x0, y0, x1, y1]

export function inkOfPath(d) {
  let ink = INK.get(d);
  if (!ink) INK.set(d, (ink = measurePath(d)));
  return ink;
}

// Extent of a path in absolute coordinates, which is all that the font and MathJax write.
function measurePath(d) {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  const point = (x, y) => {
    if (x < x0) x0 = x;
    if (x > x1) x1 = x;
    if (y < y0) y0 = y;
    if (y > y1) y1 = y;
  };
  // Where a curve turns back in one coordinate, given its control points there.
  const turns = (p) => {
    if (p.length === 3) {
      const t = (p[0] - p[1]) / (p[0] - 2 * p[1] + p[2]);
      return [t];
    }
    const a = -p[0] + 3 * p[1] - 3 * p[2] + p[3];
    const b = 2 * (p[0] - 2 * p[1] + p[2]);
    const c = p[1] - p[0];
    if (Math.abs(a) < 1e-9) return [-c / b];
    const root = Math.sqrt(b * b - 4 * a * c);
    return [(-b + root) / (2 * a), (-b - root) / (2 * a)];
  };
  const at = (p, t) =>
    p.length === 3
      ? (1 - t) ** 2 * p[0] + 2 * t * (1 - t) * p[1] + t * t * p[2]
      : (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t * t * (1 - t) * p[2] + t ** 3 * p[3];
  const curve = (xs, ys) => {
    point(xs[0], ys[0]);
    point(xs.at(-1), ys.at(-1));
    for (const t of [...turns(xs), ...turns(ys)])
      if (t > 0 && t < 1) point(at(xs, t), at(ys, t));
  };
  let [x, y, cx, cy] = [0, 0, 0, 0];
  for (const [, command, rest] of d.matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
    const n = (rest.match(/-?\d*\.?\d+/g) || []).map(Number);
    const step = { M: 2, L: 2, H: 1, V: 1, Q: 4, T: 2, C: 6, S: 4, Z: 0 }[command];
    if (step === undefined) throw new Error(`path command ${command}`);
    for (let i = 0; i < n.length; i += step) {
      const [p, q] = [x, y];
      if (command === 'H') x = n[i];
      else if (command === 'V') y = n[i];
      else [x, y] = [n[i + step - 2], n[i + step - 1]];
      if (command === 'Q' || command === 'T') {
        [cx, cy] = command === 'Q' ? [n[i], n[i + 1]] : [2 * p - cx, 2 * q - cy];
        curve([p, cx, x], [q, cy, y]);
      } else if (command === 'C' || command === 'S') {
        const [ax, ay] = command === 'C' ? [n[i], n[i + 1]] : [2 * p - cx, 2 * q - cy];
        [cx, cy] = [n[i + step - 4], n[i + step - 3]];
        curve([p, ax, cx, x], [q, ay, cy, y]);
        continue;
      } else if (command !== 'M') {
        point(p, q);
        point(x, y);
      }
      if (command !== 'Q' && command !== 'T') [cx, cy] = [x, y];
    }
    if (!'QTCS'.includes(command)) [cx, cy] = [x, y];
  }
  return x0 === Infinity ? null : [x0, y0, x1, y1];
}
