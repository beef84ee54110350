// Drives a real VS Code in a real browser, and says what it saw as JSON. `typing` types, accepts ghost text, saves, and
// goes on to the commands; `missing` looks at what is offered where there is no program.
//   node driver.mjs typing|missing VSCODE_DIR EXTENSION_DIR RUN_DIR CHROMIUM COMMAND...
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';

const [scenario, vscode, extension, run, executablePath, ...program] = process.argv.slice(2);
const { chromium } = createRequire(path.join(extension, 'package.json'))('playwright-core');
const ITEM = '[id="unmask.unmask"], [aria-label*="unmask"]';
const seen = {};
let browser;
let page;

function write(file, content) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function until(condition, what, seconds = 90) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await Promise.resolve().then(condition).catch(() => undefined);
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const read = (name) => fs.readFileSync(`${run}/workspace/${name}`, 'utf8');
write(`${run}/workspace/a.py`, '');
write(`${run}/workspace/b.py`, 'def one():\n    pass\n');
write(`${run}/workspace/c.py`, 'x = bad');
const settings = {
  'unmask.command': program,
  'editor.autoClosingBrackets': 'never',
  'editor.quickSuggestions': { other: 'off' },
  'editor.parameterHints.enabled': false,
  'chat.disableAIFeatures': true,
  'workbench.startupEditor': 'none',
};
for (const place of ['User', 'Machine']) write(`${run}/user/${place}/settings.json`, settings);

async function open(name) {
  await page.keyboard.press('Control+P');
  await page.waitForSelector('.quick-input-widget input', { timeout: 60_000 });
  await page.keyboard.type(name);
  await pick(name);
  await page.waitForSelector('.monaco-editor .view-lines', { timeout: 60_000 });
  await until(() => page.locator(`.tab.active[data-resource-name="${name}"]`).count(), `the tab of ${name}`);
  await page.click('.monaco-editor .view-lines');
}

/** Takes the entry of a quick pick with some text. */
async function pick(text) {
  const row = page.locator('.quick-input-list .monaco-list-row').filter({ hasText: text }).first();
  await row.waitFor({ timeout: 60_000 });
  await row.click();
}

/** Clicks on the status item once it has an icon; returns what the menu offers. */
async function menu(icon) {
  await waitForIcon(icon);
  await page.locator(ITEM).first().click();
  const rows = page.locator('.quick-input-list .monaco-list-row');
  await rows.first().waitFor({ timeout: 60_000 });
  return rows.allInnerTexts();
}

async function waitForIcon(icon) {
  const item = page.locator(ITEM).first();
  await until(async () => {
    seen.tooltip = await item.getAttribute('aria-label');
    return (await item.innerHTML()).includes(icon);
  }, `the status item to show ${icon}`);
}

async function command(title) {
  await page.keyboard.press('F1');
  await page.waitForSelector('.quick-input-widget input', { timeout: 60_000 });
  await page.keyboard.type(`unmask: ${title}`);
  await pick(`unmask: ${title}`);
}

/** Waits for a message of the extension; toasts are not drawn under the driver, so that it is read in their list. */
async function message(text) {
  const list = page.locator('.notifications-center .notification-list-item');
  await until(async () => {
    await page.keyboard.press('F1');
    await page.waitForSelector('.quick-input-widget input', { timeout: 10_000 });
    await page.keyboard.type('Notifications: Show Notifications');
    await pick('Show Notifications');
    await page.waitForTimeout(1000);
    return (await list.allInnerTexts()).join(' ').includes(text);
  }, `the message ${text}`);
}

/** Ticks the one change of the preview and applies it: VS Code leaves out what is to be confirmed until then. */
async function confirm() {
  const apply = page.locator('.monaco-button').filter({ hasText: /^Apply$/ }).first();
  await apply.waitFor({ timeout: 60_000 });
  await page.locator('.bulk-edit-panel .monaco-list-row .edit-checkbox').first().click();
  await page.screenshot({ path: `${run}/preview.png` });
  await apply.click();
}

async function type() {
  await open('a.py');
  await waitForIcon('sparkle');
  seen.status = true;
  await page.click('.monaco-editor .view-lines');
  await page.keyboard.type('x = ', { delay: 60 });
  // VS Code breaks ghost text into a span for each run of characters
  const ghost = page.locator('.view-lines [class*=ghost-text]');
  seen.ghost = await until(async () => (await ghost.allInnerTexts()).join(''), 'ghost text');
  await page.screenshot({ path: `${run}/ghost.png` });
  await page.keyboard.press('Tab');
  await page.keyboard.type('!', { delay: 60 });
  await page.keyboard.press('Control+S');
  seen.file = await until(() => read('a.py'), 'the file on disk');
  seen.menu = await menu('sparkle');
  await page.screenshot({ path: `${run}/menu.png` });
  await pick('Be quiet');
  await pick('30 minutes');
  await waitForIcon('bell-slash');
  await command('Be quiet');
  await waitForIcon('sparkle');
  await fill();
  await rewrite();
}

async function fill() {
  await open('b.py');
  await command('Fill all holes');
  await confirm();
  await message('1 of 1 holes filled');
  await page.keyboard.press('Control+S');
  seen.filled = await until(() => read('b.py').includes('return') && read('b.py'), 'the filled file on disk');
}

async function rewrite() {
  await open('c.py');
  await command('Rewrite selection: light fix');
  await page.locator('.quick-input-title').filter({ hasText: 'light fix' }).waitFor({ timeout: 60_000 });
  await page.keyboard.type('names in full');
  await page.keyboard.press('Enter');
  await confirm();
  await until(async () => (await page.locator('.view-lines').first().innerText()).includes('good'), 'the new text');
  await page.keyboard.press('Control+S');
  seen.rewritten = await until(() => read('c.py').includes('good') && read('c.py'), 'the rewritten file on disk');
}

async function lookAtWhatIsMissing() {
  await open('a.py');
  await message('there is no program');
  seen.menu = await menu('warning');
  await page.screenshot({ path: `${run}/menu.png` });
  await pick('Show statistics');
  const shown = page.locator('.view-lines');
  seen.printed = await until(async () => {
    const text = (await shown.allInnerTexts()).join('\n');
    return text.includes('ENOENT') && text;
  }, 'what it printed');
}

const port = await freePort();
const node = `${vscode}/node/node`;
const options = ['--host', '127.0.0.1', '--port', `${port}`, '--without-connection-token', '--accept-server-license-terms'];
options.push('--enable-smoke-test-driver', '--telemetry-level', 'off', '--disable-workspace-trust', '--disable-experiments');
options.push('--server-data-dir', `${run}/data`, '--user-data-dir', `${run}/user`, '--extensions-dir', `${run}/extensions`);
const log = fs.openSync(`${run}/server.log`, 'w');
const env = { ...process.env, PATH: `${path.dirname(node)}:${process.env.PATH}` };
const server = spawn(node, [`${vscode}/vscode/out/server-main.js`, ...options], { env, stdio: ['ignore', log, log] });
try {
  await until(async () => (await fetch(`http://127.0.0.1:${port}/version`)).ok, 'the server');
  const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  browser = await chromium.launch({ executablePath, args: [...quiet, '--disable-component-update', '--disable-sync'] });
  page = await browser.newPage({ viewport: { width: 1100, height: 600 } });
  await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
  const payload = [['extensionDevelopmentPath', `vscode-remote://127.0.0.1:${port}${extension}`]];
  const query = `folder=${run}/workspace&payload=${encodeURIComponent(JSON.stringify(payload))}`;
  await page.goto(`http://127.0.0.1:${port}/?${query}`, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('.monaco-workbench', { timeout: 90_000 });
  await page.waitForTimeout(2000);
  await (scenario === 'typing' ? type() : lookAtWhatIsMissing());
} catch (error) {
  seen.error = `${error}`;
  await page?.locator('[id="status.notifications"]').click().catch(() => undefined);
  await page?.screenshot({ path: `${run}/failure.png` }).catch(() => undefined);
} finally {
  await browser?.close();
  server.kill('SIGTERM');
  await Promise.race([new Promise((resolve) => server.on('exit', resolve)), new Promise((r) => setTimeout(r, 5000))]);
  server.kill('SIGKILL');
}
console.log(JSON.stringify(seen));
process.exit(0);
