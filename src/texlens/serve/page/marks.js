// The uncertain tokens of a reading, kept in place while the text around them is edited.

const UNCERTAIN = 0.8; // a token with a lower probability is marked
const VERY_UNCERTAIN = 0.5;

/** Ranges { start, end, probability } of the uncertain tokens in `latex`. */
export function uncertainRanges(latex, tokens) {
  const ranges = [];
  let from = 0;
  for (const token of tokens) {
    let text = token.text.trim();
    while (latex[from] === " ") from++;
    if (text === "\\prime" && latex[from] === "'") text = "'";
    // A single character is not looked for further on: of `^ { \prime }` only the prime is there.
    const isHere = latex.startsWith(text, from);
    const start = isHere ? from : text.length > 1 ? latex.indexOf(text, from) : -1;
    if (!text || start < 0) continue; // not in the formula, such as dollar signs
    from = start + text.length;
    const probability = Math.exp(token.logprob);
    if (probability < UNCERTAIN) ranges.push({ start, end: from, probability });
  }
  return ranges;
}

/** The ranges after an edit: without those it touched; those behind it have moved. */
export function movedRanges(ranges, before, after) {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const moved = after.length - before.length;
  return ranges.flatMap((range) => {
    if (range.end <= head) return [range];
    if (range.start < before.length - tail) return [];
    return [{ ...range, start: range.start + moved, end: range.end + moved }];
  });
}

/** The text as nodes, its ranges inside <mark>. */
export function markedNodes(text, ranges) {
  const nodes = [];
  let from = 0;
  for (const { start, end, probability } of ranges) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(start, end);
    mark.classList.toggle("much", probability < VERY_UNCERTAIN);
    nodes.push(text.slice(from, start), mark);
    from = end;
  }
  nodes.push(text.slice(from) + "\n"); // a line break at the end needs a line after it to be visible
  return nodes;
}
