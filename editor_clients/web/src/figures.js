// The second tab: what the editors have counted on this machine, as plots.

import { element, svg } from './draw.js';

const KINDS = [
  ['shown', 'var(--mask)'],
  ['accepted', 'var(--sure)'],
  ['kept', 'var(--copied)'],
];
const WIDTH = 520;
const HEIGHT = 190;
const LEFT = 44;
const BOTTOM = 24;

export function drawFigures(page, { total, days, models }) {
  const { counts } = total;
  const asked = counts.requests ?? 0;
  page.replaceChildren(
    element(
      'div',
      { className: 'tiles' },
      tile('asked', asked, 'requests of your editors, at most 90 days back'),
      tile('shown', counts.shown, share(counts.shown, asked, 'of what was asked')),
      tile('accepted', counts.accepted, share(counts.accepted, counts.shown, 'of what was shown')),
      tile('kept', counts.kept, share(counts.kept, counts.accepted, 'of what was accepted, after 30 s')),
      tile('median', total.ms.p50 ? `${total.ms.p50.toFixed(0)} ms` : '–', 'from request to reply'),
    ),
    panel('Shown, accepted, kept by day', asked ? byDay(days) : nothing()),
    panel('Time from request to reply', total.histogram.length ? histogram(total) : nothing()),
    panel('Held back, and why', heldBack(total)),
    panel('Models on this machine', ladder(models)),
    element('p', {
      className: 'hint',
      textContent: 'Numbers only, counted by unmask lsp in files of your own; nothing is sent anywhere. `unmask stats` prints them.',
    }),
  );
}

function tile(name, value, note) {
  return element(
    'div',
    { className: 'tile' },
    element('b', { textContent: typeof value === 'string' ? value : number(value ?? 0) }),
    element('span', { textContent: name }),
    element('small', { textContent: note }),
  );
}

const number = (value) => Math.round(value).toLocaleString('en');
const duration = (ms) => (ms < 10 ? ms.toFixed(1) : ms < 1000 ? ms.toFixed(0) : `${(ms / 1000).toFixed(1)} s`);
const share = (part, whole, of) => (whole ? `${((100 * (part ?? 0)) / whole).toFixed(1)} % ${of}` : of);
const nothing = () => element('p', { className: 'empty', textContent: 'nothing was asked yet' });
const panel = (title, content) => element('section', { className: 'panel' }, element('h2', { textContent: title }), content);

function plot(label) {
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label });
}

function word(drawn, x, y, text, anchor = 'middle') {
  const made = svg('text', { x, y, 'text-anchor': anchor });
  made.textContent = text;
  drawn.append(made);
}

function scale(drawn, most) {
  for (const part of [0, 0.5, 1]) {
    const y = (HEIGHT - BOTTOM) * (1 - part) + 8 * part;
    drawn.append(svg('line', { x1: LEFT, x2: WIDTH, y1: y, y2: y, class: 'grid' }));
    word(drawn, LEFT - 6, y + 4, number(most * part), 'end');
  }
}

function bars(drawn, groups, most) {
  const room = (WIDTH - LEFT) / groups.length;
  groups.forEach(({ label, values }, at) => {
    const width = Math.min(26, (room * 0.8) / values.length);
    values.forEach(([value, fill], i) => {
      const height = (HEIGHT - BOTTOM - 8) * (value / most);
      const x = LEFT + room * at + (room - width * values.length) / 2 + i * width;
      const bar = svg('rect', { x, y: HEIGHT - BOTTOM - height, width: Math.max(1, width - 1.5), height, rx: 2, fill });
      const title = svg('title');
      title.textContent = `${label}: ${value}`;
      bar.append(title);
      drawn.append(bar);
    });
    if (at % Math.ceil(groups.length / 8) === 0) word(drawn, LEFT + room * (at + 0.5), HEIGHT - 7, label);
  });
}

function byDay(days) {
  const drawn = plot('shown, accepted and kept by day');
  const groups = days.slice(-30).map(({ day, counts }) => ({
    label: day.slice(5),
    values: KINDS.map(([name, fill]) => [counts[name] ?? 0, fill]),
  }));
  const most = Math.max(1, ...groups.flatMap(({ values }) => values.map(([value]) => value)));
  scale(drawn, most);
  bars(drawn, groups, most);
  const legend = element('ul', { className: 'legend' });
  for (const [name] of KINDS) legend.append(element('li', {}, element('i', { className: `key ${name}` }), name));
  return element('div', {}, legend, drawn);
}

function histogram({ histogram: buckets, ms }) {
  const drawn = plot('requests by time from request to reply');
  const most = Math.max(...buckets.map(([, n]) => n));
  scale(drawn, most);
  bars(
    drawn,
    buckets.map(([edge, n]) => ({ label: duration(edge), values: [[n, 'var(--mask)']] })),
    most,
  );
  const named = Object.entries(ms).map(([name, value]) => `${name} ${number(value)} ms`);
  return element('div', {}, drawn, element('p', { className: 'hint', textContent: `${named.join(', ')}; below so many ms` }));
}

function rows(entries) {
  const most = Math.max(1, ...entries.map(([, value]) => value ?? 0));
  return element(
    'table',
    {},
    ...entries.map(([name, value, unit = '']) => {
      const bar = svg('svg', { viewBox: '0 0 200 10', preserveAspectRatio: 'none', class: 'bar' });
      bar.append(svg('rect', { width: (200 * (value ?? 0)) / most, height: 10, rx: 3, fill: 'var(--mask)' }));
      return element(
        'tr',
        {},
        element('th', { textContent: name }),
        element('td', {}, bar),
        element('td', { className: 'number', textContent: value === null ? 'not measured today' : `${number(value)}${unit}` }),
      );
    }),
  );
}

function heldBack({ counts, filters }) {
  const found = Object.entries(filters).map(([name, n]) => [name.replaceAll('_', ' '), n]);
  if (counts.unlikely) found.unshift(['too unlikely', counts.unlikely]);
  return found.length ? rows(found.sort(([, a], [, b]) => b - a)) : nothing();
}

function ladder(models) {
  return rows(models.map(({ name, suggestion_ms: ms }) => [name, ms, ' ms a suggestion']));
}
