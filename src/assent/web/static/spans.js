// Words that a person marked in a completion. They are kept as code points of the text itself, whatever is shown of it.

const ranges = new Map();  // slot -> Range[] now on the page

/** The words of a span. */
export function quoted(text, { start, end }) {
  return [...text].slice(start, end).join("");
}

/** The span that the page's selection means: {slot, start, end}, {slot} where its words are not found, or null. */
export function selected(selection, completions) {
  if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0);
  const body = closestBody(range.startContainer);
  const words = selection.toString().trim();
  if (!body || !words || !within(range, body, words)) return null;
  const slot = Number(body.dataset.slot);
  const before = range.cloneRange();
  before.selectNodeContents(body);
  before.setEnd(range.startContainer, range.startOffset);
  return { slot, ...place(completions[slot].text, words, before.toString()) };
}

/** Whether a selection holds words of this body alone. That of a whole paragraph may end at the start of the next element. */
function within(range, body, words) {
  if (body.contains(range.endContainer)) return true;
  const inside = range.cloneRange();
  inside.setEnd(body, body.childNodes.length);
  const bare = (text) => text.replace(/\s+/g, "");
  return bare(inside.toString()) === bare(words);
}

function closestBody(node) {
  return (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(".answer-body") ?? null;
}

const MARKS = "[*_`~\\\\]{0,3}";  // Markdown's own signs, which are not shown
const STARTS = "(?:(?:[-*+>]|\\d+[.)]|#{1,6}) )?";  // of a list's, a quotation's, a heading's line
const SHOWN = /[^*_`~\\\s]/g;  // what stands in the text and on the page alike
const LONGEST = 2000;  // characters; longer words are looked for as they stand

/** Where `words` stand in the text: the occurrence with as many before it as in what is shown before the selection. */
function place(text, words, shownBefore) {
  const between = words.length > LONGEST ? "" : MARKS;
  const parts = words.split(/\s+/).map((word) => [...word].map((sign) => sign.replace(/[.*+?^${}()|[\]\\/]/, "\\$&")).join(between));
  const pattern = new RegExp(parts.join(`${between}\\s+${STARTS}${between}`), "gu");
  const found = [...text.matchAll(pattern)];
  if (!found.length) return {};
  const match = found[Math.min([...shownBefore.matchAll(pattern)].length, found.length - 1)];
  const start = [...text.slice(0, match.index)].length;
  return { start, end: start + [...match[0]].length };
}

/** Colour the words of one completion where the browser can, without touching its elements. */
export function highlight(slot, body, words) {
  if (!globalThis.CSS?.highlights) return;
  ranges.set(slot, words.flatMap((each) => rangeOf(body, each)));
  CSS.highlights.set("spans", new Highlight(...[...ranges.values()].flat()));
}

export function forget() {
  ranges.clear();
  globalThis.CSS?.highlights?.delete("spans");
}

function rangeOf(body, words) {
  const nodes = [];
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) nodes.push(walker.currentNode);
  const shown = nodes.map((node) => node.data).join("");
  const signs = [...shown.matchAll(SHOWN)].map((found) => found.index);  // where the letters stand
  const wanted = words.match(SHOWN)?.join("") ?? "";
  const at = wanted ? signs.map((index) => shown[index]).join("").indexOf(wanted) : -1;
  if (at < 0) return [];
  const range = new Range();
  range.setStart(...position(nodes, signs[at]));
  range.setEnd(...position(nodes, signs[at + wanted.length - 1] + 1));
  return [range];
}

function position(nodes, offset) {
  for (const node of nodes) {
    if (offset <= node.data.length) return [node, offset];
    offset -= node.data.length;
  }
  return [nodes.at(-1), nodes.at(-1).data.length];
}
