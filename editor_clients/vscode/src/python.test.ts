import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintOf, isNewEnough, stepOf } from './python';

test('a Python from 3.11 on may hold the server', () => {
  assert.deepEqual(['3.11\n', '3.14\n', '4.0\r\n'].map(isNewEnough), [true, true, true]);
  assert.deepEqual(['3.9\n', '2.7\n', '', 'Python was not found', '3.11 3.12'].map(isNewEnough), Array(5).fill(false));
});

test('steps of pip are told without the addresses that they came from', () => {
  assert.equal(stepOf('Collecting torch>=2.9'), 'Collecting torch>=2.9');
  assert.equal(stepOf('  Downloading https://example.org/a/torch-2.13.0.whl (200 MB)'), 'Downloading torch-2.13.0.whl');
  assert.equal(stepOf('Processing /home/me/unmask-0.1.0-py3-none-any.whl'), 'Processing unmask-0.1.0-py3-none-any.whl');
  assert.equal(stepOf('  Created wheel for unmask'), undefined);
});

test('of what failed the line is told by which a person can act', () => {
  const debian = [
    'The virtual environment was not created successfully because ensurepip is not',
    'available.  On Debian/Ubuntu systems, you need to install the python3-venv',
    'package using the following command.',
    '',
    '    apt install python3.11-venv',
    '',
    'You may need to use sudo with that command.  After installing the python3-venv',
    'package, recreate your virtual environment.',
    '',
    'Failing command: /home/me/server/bin/python3',
    '',
  ];
  assert.equal(complaintOf(debian.join('\n')), 'this Python lacks a part: apt install python3.11-venv');
  const pip = 'Processing a.whl\nERROR: Could not find torch\nERROR: No matching distribution found for torch\n\n[notice] new\n';
  assert.equal(complaintOf(pip), 'ERROR: No matching distribution found for torch');
  assert.equal(complaintOf('No space left on device\n'), 'No space left on device');
  assert.equal(complaintOf(''), '');
});
