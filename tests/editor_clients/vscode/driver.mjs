// What is done in a real VS Code, and what is seen there, as JSON. `typing` types, accepts ghost text, saves, and goes on to
// the commands; `watch` looks at a fill pass by pass; `alternatives` takes suggestions from the panel; `release` meets a server
// of another release; `models` fetches, chooses and removes a model; `missing` looks at what is offered where there is no
// program, and installs one, twice; `silent` meets programs that never answer.
//   node driver.mjs SCENARIO VSCODE_DIR EXTENSION_DIR RUN_DIR CHROMIUM SETTINGS
import fs from 'node:fs';
import path from 'node:path';
import { decorations, inWorkbench, until } from './workbench.mjs';

const [scenario, vscode, extension, run, executablePath, more] = process.argv.slice(2);
const settings = JSON.parse(more);
// for the server to take the newer of two requests
const TAKEN_MS = 1000;
const files = { 'a.py': '', 'b.py': 'def one():\n    pass\n', 'c.py': 'x = bad' };

async function type(bench) {
  const { page, seen } = bench;
  await bench.open('a.py');
  await bench.waitForIcon('sparkle');
  seen.status = true;
  await page.click('.monaco-editor .view-lines');
  await page.keyboard.type('x = ', { delay: 60 });
  seen.ghost = await until(() => bench.ghost(), 'ghost text');
  await page.screenshot({ path: `${run}/ghost.png` });
  await page.keyboard.press('Tab');
  await page.keyboard.type('!', { delay: 60 });
  await page.keyboard.press('Control+S');
  seen.file = await until(() => bench.read('a.py'), 'the file on disk');
  seen.menu = await bench.menu('sparkle');
  await page.screenshot({ path: `${run}/menu.png` });
  await bench.pick('Be quiet');
  await bench.pick('30 minutes');
  await bench.waitForIcon('bell-slash');
  await bench.command('Be quiet');
  await bench.waitForIcon('sparkle');
  await fill(bench);
  await rewrite(bench);
}

/** Ticks the one change of the preview and applies it: VS Code leaves out what is to be confirmed until then. */
async function confirm({ page }) {
  const apply = page.locator('.monaco-button').filter({ hasText: /^Apply$/ }).first();
  await apply.waitFor({ timeout: 60_000 });
  await page.locator('.bulk-edit-panel .monaco-list-row .edit-checkbox').first().click();
  await page.screenshot({ path: `${run}/preview.png` });
  await apply.click();
}

async function fill(bench) {
  await bench.open('b.py');
  await bench.command('Fill all holes');
  await confirm(bench);
  await bench.message('1 of 1 holes filled');
  await bench.page.keyboard.press('Control+S');
  const filled = () => bench.read('b.py').includes('return') && bench.read('b.py');
  bench.seen.filled = await until(filled, 'the filled file on disk');
}

async function rewrite(bench) {
  const { page } = bench;
  await bench.open('c.py');
  await bench.command('Rewrite selection: light fix');
  await page.locator('.quick-input-title').filter({ hasText: 'light fix' }).waitFor({ timeout: 60_000 });
  await page.keyboard.type('names in full');
  await page.keyboard.press('Enter');
  await confirm(bench);
  await until(async () => (await page.locator('.view-lines').first().innerText()).includes('good'), 'the new text');
  await page.keyboard.press('Control+S');
  const rewritten = () => bench.read('c.py').includes('good') && bench.read('c.py');
  bench.seen.rewritten = await until(rewritten, 'the rewritten file on disk');
}

/** Watches a slow fill up to its ghost text, and another one, begun twice, that a key ends; at last a setting is wrong. */
async function watch(bench) {
  const { page, seen } = bench;
  await bench.open('a.py');
  await bench.waitForIcon('sparkle');
  await page.click('.monaco-editor .view-lines');
  await page.keyboard.type('slow = ', { delay: 60 });
  await bench.command('Watch');
  seen.pass = await until(async () => (await page.evaluate(decorations)).match(/.* [1-9]\d passes/)?.[0], 'a pass');
  await page.screenshot({ path: `${run}/watch.png` });
  seen.ghost = await until(() => bench.ghost(), 'the answer as ghost text');
  seen.after = await page.evaluate(decorations);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Control+S');
  seen.file = await until(() => bench.read('a.py').includes('|line|') && bench.read('a.py'), 'the file on disk');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('slow too', { delay: 60 });
  await bench.command('Watch');
  await until(async () => (await page.evaluate(decorations)).includes('passes'), 'a pass');
  await bench.command('Watch');
  await page.waitForTimeout(TAKEN_MS);
  await page.keyboard.type('y', { delay: 60 });
  await until(async () => !(await page.evaluate(decorations)).includes('passes'), 'it to go');
  seen.popups = await bench.messages();
  bench.change('unmask.reach', 'far');
  await bench.waitForIcon('sparkle', 'setting');
}

/** Takes an alternative by the keyboard and one by a click, tries one after an edit, and closes the panel on a slow fill. */
async function alternatives(bench) {
  const { page, seen } = bench;
  const { keyboard } = page;
  const lens = page.locator('.codelens-decoration a');
  const shows = (text) => until(async () => (await bench.text()).includes(text) && bench.text(), `the text ${text}`);
  await bench.open('a.py');
  await bench.waitForIcon('sparkle');
  await keyboard.type('slow = ()', { delay: 60 });
  await keyboard.press('ArrowLeft');
  await keyboard.press('Shift+Alt+\\');
  seen.looking = await until(() => bench.panel(), 'the panel');
  await lens.last().waitFor({ timeout: 60_000 });
  seen.found = await bench.panel();
  seen.lenses = await lens.allInnerTexts();
  await page.screenshot({ path: `${run}/alternatives.png` });
  for (let line = 0; line < 4; line++) await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await shows('|');
  await keyboard.type('!');
  seen.byKey = await shows('!');
  await keyboard.press('Control+A');
  await keyboard.type('w = ');
  await bench.command('Show alternatives in a panel');
  await lens.last().click({ timeout: 60_000 });
  seen.byClick = await shows('|');
  await keyboard.press('Control+A');
  await keyboard.type('order = ');
  await bench.command('Show alternatives in a panel');
  await lens.last().waitFor({ timeout: 60_000 });
  await page.click('.monaco-editor .view-lines');
  await keyboard.press('Control+End');
  await keyboard.type('snippets = order = ');
  await keyboard.press('Alt+\\');
  seen.beside = await until(() => bench.ghost(), 'ghost text');
  await keyboard.press('Escape');
  await lens.last().click();
  seen.refused = await until(async () => (await page.locator('.statusbar').innerText()).match(/unmask: the document.*/)?.[0], 'why');
  seen.edited = await bench.text();
  await page.click('.monaco-editor .view-lines');
  await keyboard.press('Control+A');
  await keyboard.type('slow too');
  await bench.command('Show alternatives in a panel');
  await until(async () => (await bench.panel()).startsWith('looking'), 'the panel');
  await page.locator('.tab[data-resource-name="Alternatives"]').click({ button: 'middle' });
  await bench.open('c.py');
  await keyboard.press('End');
  await keyboard.press('Alt+\\');
  await until(() => bench.ghost(), 'ghost text');
}

/** With a server of another release: what the status says, what of a command that is not there, and ghost text. */
async function release(bench) {
  const { page, seen } = bench;
  await bench.open('a.py');
  await bench.waitForIcon('sparkle', 'on: ');
  await page.keyboard.type('x = ', { delay: 60 });
  await bench.command('Watch');
  seen.lacked = await until(async () => (await page.locator('.statusbar').innerText()).match(/unmask: the server.*/)?.[0], 'what lacks');
  await bench.command('Show alternatives in a panel');
  seen.panel = await until(async () => (await bench.panel()).startsWith('no') && bench.panel(), 'what lacks');
  await page.click('.monaco-editor .view-lines');
  await page.keyboard.press('Control+End');
  await page.keyboard.press('Alt+\\');
  seen.ghost = await until(() => bench.ghost(), 'ghost text');
  seen.popups = await bench.messages();
  await bench.waitForIcon('sparkle', 'on: ');
}

async function models(bench) {
  const { page, seen } = bench;
  await bench.open('a.py');
  await bench.waitForIcon('sparkle', 'fake');
  await bench.menu('sparkle');
  await bench.pick('Choose the model');
  seen.choices = await bench.rows('Automatic');
  await page.screenshot({ path: `${run}/models.png` });
  await bench.pick('qwen2.5-coder-0.5b');
  seen.asked = await bench.answer('Fetch');
  await bench.waitForIcon('sparkle', 'qwen2.5-coder-0.5b');
  seen.chosen = await until(() => bench.settings()['unmask.model'], 'the setting');
  await bench.command('Remove a model');
  await bench.pick('qwen2.5-coder-0.5b');
  seen.removal = await bench.answer('Remove');
  await bench.waitForIcon('sparkle', 'fake');
  await until(() => !bench.settings()['unmask.model'], 'the setting to go');
}

async function install(bench) {
  await bench.command('Install the server');
  return bench.answer('Install');
}

async function missing(bench) {
  const { page, seen } = bench;
  await bench.open('a.py');
  await bench.message('there is no program');
  seen.menu = await bench.menu('warning');
  await page.screenshot({ path: `${run}/menu.png` });
  await bench.pick('Install the server');
  seen.asked = await bench.answer('Install');
  await bench.waitForIcon('sparkle');
  seen.command = bench.settings()['unmask.command'];
  const wheel = settings['unmask.wheel'];
  const content = fs.readFileSync(wheel);
  fs.writeFileSync(wheel, 'no wheel');
  await install(bench);
  await bench.message('ERROR').finally(() => fs.writeFileSync(wheel, content));
  // what there was is there still, and named
  await bench.command('Restart the server');
  await bench.waitForIcon('loading');
  await bench.waitForIcon('sparkle');
  fs.rmSync(seen.command[0]);
  await bench.command('Restart the server');
  await bench.waitForIcon('warning');
  await install(bench);
  await bench.waitForIcon('sparkle');
  seen.again = bench.settings()['unmask.command'];
  await until(() => !fs.existsSync(path.dirname(path.dirname(seen.command[0]))), 'the old environment to go');
}

/** Programs that never answer are ended, by hand and after a minute; one that is no server, and a setting that is no command. */
async function silent(bench) {
  const { seen } = bench;
  const started = () => bench.read('pids').trim().split('\n');
  const hasEnded = (pid) => !fs.existsSync(`/proc/${pid}`);
  await bench.open('a.py');
  await bench.waitForIcon('loading', 'starting');
  await bench.command('Restart the server');
  await until(() => started().length === 2 && hasEnded(started()[0]), 'another program instead of the first');
  await bench.waitForIcon('warning', 'has not answered for 60 s');
  await until(() => hasEnded(started()[1]), 'the end of the second');
  await bench.command('Restart the server');
  await bench.waitForIcon('sparkle', 'on: ');
  bench.change('unmask.command', ['true', 'lsp']);
  await bench.waitForIcon('warning', 'ended before it answered');
  bench.change('unmask.command', 'unmask lsp');
  await bench.waitForIcon('warning', 'unmask.command must be a list');
  seen.popups = await bench.messages();
}

await inWorkbench({ vscode, extension, run, executablePath }, settings, files, { typing: type, watch, alternatives, release, models, missing, silent }[scenario]);
