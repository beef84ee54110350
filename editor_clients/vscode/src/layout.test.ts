import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alternativeAt, layOut } from './layout';

const LAYOUT = layOut('2 alternatives', '    x = f(', ')', ['a', 'b,\r\n    c']);

test('each alternative is shown as the lines that it would make', () => {
  assert.equal(LAYOUT.text, '2 alternatives\n\n    x = f(a)\n\n    x = f(b,\n    c)\n');
  assert.deepEqual(LAYOUT.starts, [2, 4]);
});

test('without any there is the heading alone', () => {
  assert.deepEqual(layOut('no alternatives', 'x', 'y', []), { text: 'no alternatives\n', starts: [] });
});

test('the one at the cursor is the last that begins there or above', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6].map((line) => alternativeAt(LAYOUT, line)), [0, 0, 0, 0, 1, 1, 1]);
});
