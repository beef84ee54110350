import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lane } from './frames.js';
import { Player } from './player.js';

let now = 0;
let tick;
globalThis.requestAnimationFrame = (callback) => (tick = callback);

/** A player over passes at these times, and what it has drawn. */
function playing(times, isFinal) {
  now = 0;
  const lane = new Lane();
  times.forEach((ms, at) => {
    lane.add({ ms, kind: 'denoise', final: isFinal && at === times.length - 1, decided: [], slots: [], text: '' });
  });
  const drawn = [];
  const player = new Player(() => [lane], (time) => drawn.push([time, player.runs]));
  player.pace = 'real';
  player.restart();
  return { player, drawn };
}

function pass(frames) {
  for (let frame = 0; frame < frames; frame++) tick((now += 10));
}

test('it is drawn up to its end, and once more where it stays', () => {
  const { drawn } = playing([5, 25], true);
  pass(9);
  assert.deepEqual(drawn, [[10, true], [20, true], [25, false]]);
});

test('a fill that was stopped is drawn no more when its passes are over', () => {
  const { drawn } = playing([5, 25], false);
  pass(9);
  assert.deepEqual(drawn, [[10, true], [20, true], [25, true]]);
});

test('who presses pause sees that it pauses', () => {
  const { player, drawn } = playing([5, 25], true);
  pass(1);
  player.toggle();
  assert.deepEqual(drawn, [[10, true], [10, false]]);
});
