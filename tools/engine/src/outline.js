// The box of the ink of an outline, exact at the extrema of its curves.

/** [x0, y0, x1, y1] of SVG path data with absolute coordinates, null where nothing is drawn. */
export function inkOfOutline(d) {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  const put = (x, y) => {
    if (x < x0) x0 = x;
    if (x > x1) x1 = x;
    if (y < y0) y0 = y;
    if (y > y1) y1 = y;
  };
  const curve = (xs, ys) => {
    put(xs[0], ys[0]);
    put(xs.at(-1), ys.at(-1));
    for (const t of [...turns(xs), ...turns(ys)]) if (t > 0 && t < 1) put(at(xs, t), at(ys, t));
  };
  let [x, y, startX, startY, handleX, handleY, last] = [0, 0, 0, 0, 0, 0, ''];
  for (const [, command, list] of d.matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
    const n = (list.match(/-?(?:\d+\.?\d*|\.\d+)/g) || []).map(Number);
    const size = SIZES[command];
    if (size === undefined) throw new Error(`unknown path command ${command}`);
    if (command === 'Z') [x, y] = [startX, startY];
    for (let i = 0; size && i + size <= n.length; i += size) {
      const [fromX, fromY] = [x, y];
      if (command === 'H') x = n[i];
      else if (command === 'V') y = n[i];
      else [x, y] = [n[i + size - 2], n[i + size - 1]];
      if (command === 'M' && i === 0) [startX, startY] = [x, y]; // a move alone draws nothing
      else if (command === 'Q' || command === 'T') {
        if (command === 'Q') [handleX, handleY] = [n[i], n[i + 1]];
        else if ('QT'.includes(last)) [handleX, handleY] = [2 * fromX - handleX, 2 * fromY - handleY];
        else [handleX, handleY] = [fromX, fromY];
        curve([fromX, handleX, x], [fromY, handleY, y]);
      } else if (command === 'C' || command === 'S') {
        let [firstX, firstY] = [n[i], n[i + 1]];
        if (command === 'S') {
          [firstX, firstY] = 'CS'.includes(last) ? [2 * fromX - handleX, 2 * fromY - handleY] : [fromX, fromY];
        }
        [handleX, handleY] = [n[i + size - 4], n[i + size - 3]];
        curve([fromX, firstX, handleX, x], [fromY, firstY, handleY, y]);
      } else {
        put(fromX, fromY);
        put(x, y);
      }
      last = command;
    }
    last = command;
  }
  return x0 <= x1 ? [x0, y0, x1, y1] : null;
}

const SIZES = { M: 2, L: 2, H: 1, V: 1, Q: 4, T: 2, C: 6, S: 4, Z: 0 };

// Parameters at which a Bézier curve of degree 2 or 3 turns back in one coordinate.
function turns([a, b, c, d]) {
  if (d === undefined) return [(a - b) / (a - 2 * b + c)];
  const [p, q, r] = [d - 3 * c + 3 * b - a, 2 * (a - 2 * b + c), b - a];
  if (Math.abs(p) < 1e-9) return [-r / q];
  const root = Math.sqrt(q * q - 4 * p * r);
  return [(root - q) / (2 * p), (-root - q) / (2 * p)];
}

function at([a, b, c, d], t) {
  const u = 1 - t;
  if (d === undefined) return u * u * a + 2 * u * t * b + t * t * c;
  return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
}
