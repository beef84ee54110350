import assert from 'node:assert/strict';
import test from 'node:test';

import { colour, Lane } from './frames.js';

const draft = (kind, ms, decided, slots = [], more = {}) => ({
  kind, ms, decided, slots, given: 0, final: false, text: decided.map(([text]) => text).join(''), ...more,
});
const a = ['a', 0.9];
const b = ['b', 0.8];
const c = ['c', 0.7];

function drafted() {
  const lane = new Lane();
  lane.add(draft('verify', 10, [a], []));
  lane.add(draft('denoise', 20, [a], [a, b, [null, 0.3]], { given: 1 }));
  lane.add(draft('verify', 30, [a, b, c], [['a', 1], ['b', 1], ['x', 0]]));
  lane.add(draft('final', 31, [a, b, c], [], { final: true, text: 'ab' }));
  return lane;
}

test('a denoise pass shows what is decided, what is drafted and what is masked', () => {
  assert.deepEqual(drafted().cells(1).map(({ kind }) => kind), ['token', 'draft', 'mask']);
});

test('a verify pass shows what it kept of a draft, what the model said instead, and what it refused', () => {
  const cells = drafted().cells(2);
  assert.deepEqual(cells.map(({ kind }) => kind), ['token', 'token', 'token', 'refused']);
  assert.deepEqual(cells.slice(0, 3).map(({ origin, pass, fresh }) => [origin, pass, fresh]), [
    ['own', 1, false],
    ['drafted', 3, true],
    ['own', 3, true],
  ]);
});

test('what was not denoised before it was verified is copied', () => {
  const lane = new Lane();
  lane.add(draft('verify', 10, [a], []));
  lane.add(draft('verify', 20, [a, b, c], [['a', 1], ['b', 1]]));
  assert.deepEqual(lane.tokens.map(({ origin }) => origin), ['own', 'copied', 'own']);
});

test('the last frame shows the answer, which filters may have cut or changed', () => {
  const lane = drafted();
  assert.deepEqual(lane.cells(3).map(({ text }) => text), ['a', 'b']);
  lane.add(draft('final', 32, [a, b, c], [], { final: true, text: 'a!' }));
  assert.deepEqual(lane.cells(4).map(({ text }) => text), ['a', '!']);
});

test('blanks behind the answer are left out', () => {
  const lane = new Lane();
  lane.add(draft('final', 1, [a, ['b\n\n', 0.5], ['', 0.9]], [], { final: true, text: 'ab' }));
  assert.deepEqual(lane.cells(0).map(({ text, confidence }) => [text, confidence]), [['a', 0.9], ['b', 0.5], ['', 0.9]]);
});

test('a lane is shown as it stood at a time', () => {
  const lane = drafted();
  assert.deepEqual([0, 10, 29.9, 30, 99].map((ms) => lane.at(ms)), [-1, 0, 1, 2, 3]);
  assert.equal(lane.ended, true);
  assert.deepEqual(new Lane().cells(-1), []);
});

test('the colour goes from unsure to sure', () => {
  assert.equal(colour(0), 'rgb(240 113 107)');
  assert.equal(colour(1), 'rgb(95 208 160)');
});
