import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MASK, MOST_PIECES, type Pass, piecesOf } from './passes';

function pass(text: string, confidence: number[]): Pass {
  return { textDocument: { uri: '', version: 1 }, text, confidence, final: false, steps: 2, ms: 7.6 };
}

test('a piece lasts as long as its sureness, and behind them stands how far it is', () => {
  assert.deepEqual(piecesOf(pass(`ab c${MASK}d`, [0.9, 0.95, 0.5, 0.6, 0.3, 0.1])), [
    { text: 'ab', sureness: 'sure' },
    { text: ' c', sureness: 'likely' },
    { text: MASK, sureness: 'mask' },
    { text: 'd', sureness: 'unsure' },
    { text: ' 2 passes, 8 ms', sureness: 'mask' },
  ]);
});

test('a character outside of the first plane has one sureness', () => {
  assert.deepEqual(piecesOf(pass('😀a', [0.9, 0.1])).slice(0, 2), [
    { text: '😀', sureness: 'sure' },
    { text: 'a', sureness: 'unsure' },
  ]);
});

test('lines are joined, and a long text is cut', () => {
  assert.equal(piecesOf(pass('a\nb', [1, 1, 1]))[0]?.text, 'a↵b');
  const [text, rest] = piecesOf(pass('a'.repeat(1000), Array(1000).fill(1)));
  assert.equal(text?.text.length, 240);
  assert.equal(rest?.text, '… 2 passes, 8 ms');
});

test('so many pieces as can be drawn, whatever the text is', () => {
  const pieces = piecesOf(pass('ab'.repeat(50), Array.from({ length: 100 }, (_, at) => at % 2)));
  assert.equal(pieces.length, MOST_PIECES);
  assert.equal(pieces.at(-1)?.text, '… 2 passes, 8 ms');
});
