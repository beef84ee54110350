// Draws a lane: the block between the lines around it, and the raster of its passes.

import { colour } from './frames.js';

const BEFORE = 8;
const AFTER = 7;
const SVG = 'http://www.w3.org/2000/svg';

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The block in place: dim lines, and a span for each cell. */
export function drawStage(stage, cells, prefix, suffix) {
  const before = prefix.split('\n').slice(-BEFORE).join('\n');
  const after = suffix.split('\n').slice(0, AFTER).join('\n').trimEnd();
  stage.replaceChildren(
    element('span', { className: 'around', textContent: before }),
    ...cells.flatMap(drawCell),
    element('span', { className: 'around', textContent: after }),
  );
  const first = stage.querySelector('.cell');
  if (first) stage.scrollTop = Math.max(0, first.offsetTop - stage.clientHeight * 0.45);
}

function drawCell(cell) {
  if (cell.kind === 'mask') {
    const made = element('span', { className: 'cell mask', textContent: '\u00a0\u00a0' });
    made.style.opacity = 0.75 + 0.25 * cell.confidence;
    made.title = `masked; the likeliest token has ${percent(cell.confidence)}`;
    return [made, element('wbr')];
  }
  const classes = ['cell', cell.kind, cell.origin ?? '', cell.fresh ? 'fresh' : ''].filter(Boolean).join(' ');
  // what is refused moves nothing around
  const lines = cell.kind === 'refused' ? [cell.text.replaceAll('\n', '↵')] : cell.text.split('\n');
  return lines.flatMap((line, at) => {
    const isLast = at === lines.length - 1;
    const parts = [];
    // blanks alone are mostly indentation: no chip
    if (line.trim()) {
      const made = element('span', { className: classes, textContent: line });
      made.style.setProperty('--sure', colour(cell.confidence));
      made.title = titleOf(cell);
      if (cell.pass && cell.kind === 'token') made.dataset.pass = cell.pass;
      parts.push(made);
    } else if (line) {
      parts.push(line);
    }
    if (!isLast) parts.push(element('span', { className: `end ${cell.kind}`, textContent: '↵' }), '\n');
    return parts;
  });
}

const ORIGINS = {
  own: 'decided by the model itself',
  drafted: 'drafted, verified and kept',
  copied: 'copied from the text, verified and kept',
  denoised: 'revealed',
};

function titleOf(cell) {
  if (cell.kind === 'refused') return 'drafted, and refused: the model would have written something else';
  if (cell.kind === 'draft') return `drafted with ${percent(cell.confidence)}, to be verified`;
  return `${percent(cell.confidence)}${cell.origin ? `, ${ORIGINS[cell.origin]} in pass ${cell.pass}` : ''}`;
}

const percent = (share) => `${Math.round(100 * share)} %`;

/**
 * One row a pass, one column a place of the middle: what was masked, drafted, kept or refused there. Passes behind
 * `index` are dim. `most` has the rows and columns to leave room for, `jump` is called with the pass that is clicked at.
 */
export function drawRaster(box, lane, index, most, jump) {
  const size = 11;
  const gap = 2;
  const step = size + gap;
  const rows = lane.frames.filter((frame) => !frame.final).length;
  const columns = Math.max(24, most.columns);
  const height = Math.max(most.rows, 8) * step;
  const drawn = svg('svg', {
    viewBox: `0 0 ${columns * step + 26} ${height}`,
    class: 'passes',
    role: 'img',
    'aria-label': `${rows} passes`,
  });
  for (let row = 0; row < rows; row++) {
    const frame = lane.frames[row];
    const y = row * step;
    const mark = svg('text', { x: 18, y: y + size - 2, class: `number ${frame.kind}` });
    mark.textContent = row + 1;
    const line = svg('g', { class: row > index ? 'later' : '' }, mark);
    line.onclick = () => jump(row);
    drawn.append(line);
    lane.cells(row).forEach((cell, column) => {
      const x = 26 + column * step;
      line.append(rasterCell(cell, x, y, size, row === Math.min(index, rows - 1)));
    });
  }
  box.replaceChildren(drawn);
}

function rasterCell(cell, x, y, size, isLast) {
  const rect = svg('rect', { x, y, width: size, height: size, rx: 2.5 });
  const label = svg('title');
  label.textContent = `${cell.text || 'masked'}\n${cell.kind === 'mask' ? '' : titleOf(cell)}`;
  rect.append(label);
  if (cell.kind === 'mask') rect.setAttribute('class', 'mask');
  else if (cell.kind === 'refused') rect.setAttribute('class', 'refused');
  else {
    rect.setAttribute('fill', colour(cell.confidence));
    rect.setAttribute('class', cell.kind === 'draft' ? 'draft' : cell.fresh || isLast ? `fresh ${cell.origin}` : 'old');
  }
  return rect;
}

/** The columns and rows that a lane takes. */
export function extent(lane) {
  const frames = lane.frames.filter((frame) => !frame.final);
  const columns = frames.map((_, at) => lane.cells(at).length);
  return { rows: frames.length, columns: Math.max(0, ...columns) };
}

/** Passes, tokens, tokens a pass, milliseconds, sureness. */
export function drawFacts(list, lane, index, slower) {
  const { steps, tokens, ms, confidence } = lane.frames[index] ?? { steps: 0, tokens: 0, ms: 0, confidence: 0 };
  const facts = [
    ['passes', steps],
    ['tokens', tokens],
    ['per pass', steps ? (tokens / steps).toFixed(2) : '–'],
    ['time', `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`],
    ['sureness', steps ? percent(confidence) : '–'],
  ];
  if (slower) facts.push(['against it', slower]);
  list.replaceChildren(
    ...facts.map(([name, value]) => element('div', {}, element('dt', { textContent: name }), element('dd', { textContent: value }))),
  );
}
