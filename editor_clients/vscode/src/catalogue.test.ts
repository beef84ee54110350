import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, readModels, shareOf } from './catalogue';

const MODEL = {
  name: 'small',
  parameters: 0.5,
  licence: 'Apache-2.0',
  warning: '',
  infills: true,
  bytes_to_fetch: 494_000_000,
  installed: null,
};

test('models are lines of JSON, and only those that fill holes are offered', () => {
  const lines = [MODEL, { ...MODEL, name: 'chat', infills: false }, { ...MODEL, name: 'large' }];
  const printed = `a warning\n${lines.map((line) => JSON.stringify(line)).join('\n')}\n{}\nnull\n`;
  assert.deepEqual(readModels(printed).map(({ name }) => name), ['small', 'large']);
});

test('a list tells the size of what is to be fetched', () => {
  assert.equal(describe(MODEL), '0.5 B, Apache-2.0, 0.49 GB to fetch');
  assert.equal(describe({ ...MODEL, bytes_to_fetch: null }), '0.5 B, Apache-2.0, to fetch');
  assert.equal(describe({ ...MODEL, installed: '/models/small' }), '0.5 B, Apache-2.0, installed');
});

test('the share of a pull is read off its lines', () => {
  assert.equal(shareOf('from the hub: 0.12 of 0.48 GB, 12.0 MB/s, 30 s left'), 0.25);
  assert.equal(shareOf('from a: b: 0.60 of 0.48 GB'), 1);
  assert.equal(shareOf('installed in /models/small'), undefined);
  assert.equal(shareOf('from the hub: 0.00 of 0.00 GB'), undefined);
});
