// Places where little is expected of a completion, in a window that does not trust its folder, and what is seen there as JSON:
// a file that is read-only, several cursors, what an input method composes, the changed side of a diff, a megabyte, a cell of
// a notebook, and a server that dies.
//   node places.mjs PLACE SETTINGS PID_FILE TIMES
// TIMES gets a line for each answer of the server.
import fs from 'node:fs';
import { inWorkbench, until } from './workbench.mjs';

const [place, settings, pidFile, times] = process.argv.slice(2);
const CELL = { cell_type: 'code', execution_count: null, metadata: {}, outputs: [], source: [] };
const FILES = {
  '.vscode/settings.json': JSON.stringify({ 'unmask.command': ['/of/the/folder', 'lsp'], 'unmask.enabled': false }),
  'locked.py': 'x = ',
  'cursors.py': 'a\nb\n',
  'composed.py': '',
  'compared.py': 'z = 1\n',
  'large.py': 'y = 1\n'.repeat(170_000),
  'crashed.py': '',
  'again.py': 'x = ',
  'cells.ipynb': JSON.stringify({ cells: [CELL], metadata: {}, nbformat: 4, nbformat_minor: 5 }),
};
const SETTINGS = {
  // what is compared with the file must differ from it
  'files.autoSave': 'off',
  'files.readonlyInclude': { '**/locked.py': true },
  'security.workspace.trust.startupPrompt': 'never',
  'security.workspace.trust.banner': 'never',
};
const ASKED_MS = 1500;
const shown = (bench) => until(() => bench.ghost(), 'ghost text');

async function locked(bench) {
  await bench.open('locked.py');
  await bench.page.keyboard.press('End');
  await bench.command('Suggest here now');
  await bench.page.waitForTimeout(ASKED_MS);
  return bench.ghost();
}

async function cursors(bench) {
  const { keyboard } = bench.page;
  await bench.open('cursors.py');
  await keyboard.press('Control+Home');
  await keyboard.press('Shift+Alt+ArrowDown');
  await keyboard.press('End');
  await keyboard.type(' = ', { delay: 60 });
  await shown(bench);
  await keyboard.press('Tab');
  await keyboard.press('Control+S');
  return until(() => bench.read('cursors.py').includes('line') && bench.read('cursors.py'), 'the file on disk');
}

async function composed(bench) {
  await bench.open('composed.py');
  const session = await bench.page.context().newCDPSession(bench.page);
  await session.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 });
  await bench.page.waitForTimeout(ASKED_MS);
  const during = await bench.ghost();
  await session.send('Input.insertText', { text: '日本 = ' });
  return [during, await shown(bench)];
}

async function compared(bench) {
  const { page } = bench;
  await bench.open('compared.py');
  await page.keyboard.type('w');
  await page.keyboard.press('F1');
  await page.keyboard.type('Compare Active File with Saved');
  await bench.pick('Compare Active File with Saved');
  // only then is the difference gone to, which moves the cursor; what was deleted is drawn in lines of its own
  await page.locator('.editor.modified .line-insert').first().waitFor({ timeout: 60_000 });
  await page.locator('.editor.modified .view-line').filter({ hasText: 'w' }).first().click();
  await page.keyboard.press('Control+End');
  await page.keyboard.type(' = ', { delay: 60 });
  const ghost = await shown(bench);
  await page.keyboard.press('Escape');
  return ghost;
}

async function large(bench) {
  await bench.open('large.py');
  await bench.page.keyboard.press('Control+End');
  await bench.page.keyboard.type('x = ', { delay: 60 });
  return shown(bench);
}

async function cell(bench) {
  await bench.open('cells.ipynb');
  await bench.page.locator('.notebookOverlay .cell.code .view-lines').first().click();
  await bench.page.keyboard.type('x = ', { delay: 60 });
  return shown(bench);
}

/** Each press of the key asks, also where the text is as it was. */
async function again(bench) {
  const answers = () => fs.readFileSync(times, 'utf8').trim().split('\n').length;
  await bench.open('again.py');
  await bench.page.keyboard.press('End');
  for (let press = 0; press < 2; press++) {
    const before = answers();
    await bench.page.keyboard.press('Alt+\\');
    await until(() => answers() > before, 'an answer');
  }
  return 'twice';
}

/** The server is killed; the editor starts another one. */
async function crashed(bench) {
  await bench.open('crashed.py');
  const pid = fs.readFileSync(pidFile, 'utf8');
  process.kill(Number(pid), 'SIGKILL');
  // else the status that there was before is taken for the one after
  await bench.waitForIcon('loading');
  await bench.waitForIcon('sparkle', 'on: ');
  if (fs.readFileSync(pidFile, 'utf8') === pid) throw new Error('the same server');
  await bench.page.keyboard.type('x = ', { delay: 60 });
  // the other server may be told of the document only after the keys
  return until(async () => {
    await bench.page.keyboard.press('Alt+\\');
    await bench.page.waitForTimeout(ASKED_MS);
    return bench.ghost();
  }, 'ghost text');
}

async function act(bench) {
  await bench.open('composed.py');
  await bench.waitForIcon('sparkle', 'on: ');
  for (const visit of [locked, cursors, composed, compared, large, again, cell, crashed]) {
    bench.seen.at = visit.name;
    bench.seen[visit.name] = await visit(bench);
  }
  bench.seen.popups = await bench.messages();
  bench.seen.isTrusted = !(await bench.page.locator('[id="status.workspaceTrust"]').count());
}

await inWorkbench({ ...JSON.parse(place), trusts: false }, { ...SETTINGS, ...JSON.parse(settings) }, FILES, act);
