// `unmask play` in the browser: type on the left, watch the block denoise on the right.

import { drawFacts, drawRaster, drawStage, element, extent } from './draw.js';
import { makeEditor } from './editor.js';
import { examples } from './examples.js';
import { drawFigures } from './figures.js';
import { Lane } from './frames.js';
import { Player } from './player.js';
import { connect } from './socket.js';

const PAUSE_MS = 350;
const at = (id) => document.getElementById(id);
const NUMBERS = ['threshold', 'max_steps', 'block_length'];
const SWITCHES = ['copy', 'frugal'];

const lanes = { own: new Lane(), compared: new Lane() };
let asked = { id: 0, prefix: '', suffix: '', compare: false };
let path = examples[0].path;
let state = '';
let unanswered = false;
let later;

const send = connect(hear, (reason) => showStatus('down', reason));
const editor = makeEditor(at('editor'), moved, () => fill());
const player = new Player(() => (asked.compare ? [lanes.own, lanes.compared] : [lanes.own]), draw);

function hear(message) {
  switch (message.type) {
    case 'greeting':
      return greet(message);
    case 'status':
      return hearStatus(message);
    case 'step':
      if (message.id === asked.id) step(message.lane, message.draft);
      return undefined;
    case 'stopped':
      if (message.id === asked.id && message.reason) {
        unanswered = true;
        showStatus(state, message.reason);
      }
      return undefined;
    case 'refused':
      return showStatus(state, message.reason);
    default:
      return drawFigures(at('figures'), message.figures);
  }
}

function greet({ models, chosen, text, file, policies }) {
  at('model').replaceChildren(
    ...models.map(({ name, parameters }) =>
      element('option', { value: name, textContent: parameters ? `${name} (${parameters} B)` : name, selected: name === chosen }),
    ),
  );
  if (at('policy').options.length) return;
  at('policy').replaceChildren(
    ...policies.map((name) => element('option', { value: name, textContent: name.replaceAll('_', ' ') })),
  );
  const own = file ? [{ name: file, path: file, text, at: text.length }] : [];
  const offered = [...own, ...examples];
  at('example').replaceChildren(...offered.map(({ name }, i) => element('option', { value: i, textContent: name })));
  at('example').onchange = () => open(offered[at('example').value]);
  open(offered[0]);
}

function open(example) {
  path = example.path;
  editor.open(example.text, example.at, path);
  editor.focus();
}

function hearStatus({ state: now, model, description, reason, share_loaded: loaded, controls }) {
  state = now;
  const texts = {
    starting: loaded ? `loading ${model}, ${Math.round(100 * loaded)} %` : `starting ${model}`,
    resting: `${model} rests, and starts with the next fill`,
    down: reason,
  };
  showStatus(now, texts[now] ?? description);
  for (const control of document.querySelectorAll('[data-control]')) {
    const counts = !controls.length || controls.includes(control.dataset.control);
    control.classList.toggle('idle', !counts);
    control.title = counts ? '' : 'changes nothing for this model';
  }
  if (now === 'ready' && unanswered) fill();
}

function showStatus(now, text) {
  at('status').className = now;
  at('status-text').textContent = text;
}

function moved(isEdit) {
  clearTimeout(later);
  send({ type: 'stop' });
  // what is on its way still is for another place
  asked = { ...asked, id: asked.id + 1 };
  if (isEdit && at('auto').checked) later = setTimeout(fill, PAUSE_MS);
}

function fill(compare = false) {
  clearTimeout(later);
  unanswered = false;
  asked = { id: asked.id + 1, ...editor.around(), compare };
  lanes.own = new Lane();
  lanes.compared = new Lane();
  editor.suggest('');
  player.restart();
  document.body.classList.toggle('comparing', compare);
  draw(0);
  const { id, prefix, suffix } = asked;
  const whole = (text) => text.toWellFormed?.() ?? text;
  send({ type: 'fill', id, prefix: whole(prefix), suffix: whole(suffix), path, hole: at('hole').value, controls: controls(), compare });
}

function controls() {
  const read = Object.fromEntries(NUMBERS.map((name) => [name, Number(at(name).value)]));
  for (const name of SWITCHES) read[name] = at(name).checked;
  return { policy: at('policy').value, ...read };
}

function step(lane, draft) {
  // both begin at the same moment: a race
  if (lane === 'compared' && !lanes.compared.frames.length) player.restart();
  lanes[lane].add(draft);
  if (lane === 'own' && draft.final) editor.suggest(draft.text);
}

function draw(time) {
  const shown = lanes.own.at(time);
  drawStage(at('stage'), lanes.own.cells(shown), asked.prefix, asked.suffix);
  const extents = [lanes.own, lanes.compared].map(extent);
  const most = { rows: Math.max(...extents.map(({ rows }) => rows)), columns: Math.max(...extents.map(({ columns }) => columns)) };
  for (const name of ['own', 'compared']) {
    const box = at(`lane-${name}`);
    const index = lanes[name].at(time);
    const ended = index >= 0 && lanes[name].frames[index].final;
    box.classList.toggle('ended', ended);
    const ratio = name === 'compared' && ended && lanes.own.ended ? lanes.own.ms / lanes.compared.ms : 0;
    drawFacts(box.querySelector('dl'), lanes[name], index, ratio ? `${(1 / ratio).toFixed(2)} × the time` : '');
    drawRaster(box.querySelector('.raster'), lanes[name], index, most, (row) => player.show(lanes[name].frames[row].ms));
  }
  at('scrub').max = player.end;
  at('scrub').value = time;
  at('clock').textContent = `${Math.round(time)} ms`;
  at('play-pause').textContent = player.runs ? '❚❚' : '▶';
}

function showNumbers() {
  at('threshold-value').textContent = Number(at('threshold').value).toFixed(2);
  for (const name of ['max_steps', 'block_length']) {
    at(`${name}-value`).textContent = Number(at(name).value) || "the model's own";
  }
}

function choose(tab) {
  for (const name of ['play', 'figures']) {
    at(name).hidden = name !== tab;
    at(`tab-${name}`).setAttribute('aria-selected', name === tab);
  }
  if (tab === 'figures') send({ type: 'statistics' });
}

at('tab-play').onclick = () => choose('play');
at('tab-figures').onclick = () => choose('figures');
at('run').onclick = () => fill();
at('compare').onclick = () => fill(true);
at('model').onchange = () => {
  send({ type: 'take', model: at('model').value });
  fill();
};
at('controls').oninput = () => {
  showNumbers();
  clearTimeout(later);
  later = setTimeout(fill, PAUSE_MS);
};
at('controls').onsubmit = (event) => event.preventDefault();
at('play-pause').onclick = () => player.toggle();
at('scrub').oninput = () => player.show(Number(at('scrub').value));
at('pace').onchange = () => {
  player.pace = at('pace').value;
};
at('order').onchange = () => at('stage').classList.toggle('ordered', at('order').checked);
at('stage').classList.add('ordered');
showNumbers();
