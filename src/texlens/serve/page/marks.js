// Which parts of a reading to doubt, kept in place while the text around them is edited.

const DOUBT = 0.8; // probability of a token below which it is marked
const MUCH_DOUBT = 0.5;

/** Ranges { start, end, probability } of the doubtful tokens in `latex`. */
export function doubtfulRanges(latex, tokens) {
  const ranges = [];
  let from = 0;
  for (const token of tokens) {
    const text = token.text.trim();
    const start = text ? latex.indexOf(text, from) : -1;
    if (start < 0) continue; // what was unwrapped, such as dollar signs
    from = start + text.length;
    const probability = Math.exp(token.logprob);
    if (probability < DOUBT) ranges.push({ start, end: from, probability });
  }
  return ranges;
}

/** The ranges after an edit: those it touched are gone, those behind it have moved. */
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
    mark.classList.toggle("much", probability < MUCH_DOUBT);
    nodes.push(text.slice(from, start), mark);
    from = end;
  }
  nodes.push(text.slice(from) + "\n"); // a last line break needs something after it to count
  return nodes;
}
