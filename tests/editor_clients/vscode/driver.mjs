// Drives a real VS Code in a real browser: types, waits for ghost text, accepts it, saves. Says what it saw as JSON.
//   node driver.mjs VSCODE_DIR EXTENSION_DIR RUN_DIR CHROMIUM COMMAND...
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';

const [vscode, extension, run, executablePath, ...command] = process.argv.slice(2);
const { chromium } = createRequire(path.join(extension, 'package.json'))('playwright-core');
const seen = {};

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

write(`${run}/workspace/a.py`, '');
const settings = {
  'unmask.command': command,
  'editor.autoClosingBrackets': 'never',
  'editor.quickSuggestions': { other: 'off' },
  'editor.parameterHints.enabled': false,
  'chat.disableAIFeatures': true,
  'workbench.startupEditor': 'none',
};
for (const place of ['User', 'Machine']) write(`${run}/user/${place}/settings.json`, settings);

const port = await freePort();
const node = `${vscode}/node/node`;
const options = ['--host', '127.0.0.1', '--port', `${port}`, '--without-connection-token', '--accept-server-license-terms'];
options.push('--enable-smoke-test-driver', '--telemetry-level', 'off', '--disable-workspace-trust', '--disable-experiments');
options.push('--server-data-dir', `${run}/data`, '--user-data-dir', `${run}/user`, '--extensions-dir', `${run}/extensions`);
const log = fs.openSync(`${run}/server.log`, 'w');
const env = { ...process.env, PATH: `${path.dirname(node)}:${process.env.PATH}` };
const server = spawn(node, [`${vscode}/vscode/out/server-main.js`, ...options], { env, stdio: ['ignore', log, log] });
let browser;
let page;
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
  await page.keyboard.press('Control+P');
  await page.waitForSelector('.quick-input-widget input', { timeout: 60_000 });
  await page.keyboard.type('a.py');
  await page.waitForSelector('.quick-input-list .monaco-list-row', { timeout: 60_000 });
  await page.keyboard.press('Enter');
  await page.waitForSelector('.monaco-editor .view-lines', { timeout: 60_000 });
  const item = page.locator('[id="unmask.unmask"], [aria-label*="unmask"]').first();
  await until(async () => {
    seen.tooltip = await item.getAttribute('aria-label');
    return /sparkle/.test(await item.innerHTML());
  }, 'the status item to say that it is on');
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
  seen.file = await until(() => fs.readFileSync(`${run}/workspace/a.py`, 'utf8'), 'the file on disk');
} catch (error) {
  seen.error = `${error}`;
  await page?.screenshot({ path: `${run}/failure.png` }).catch(() => undefined);
} finally {
  await browser?.close();
  server.kill('SIGTERM');
  await Promise.race([new Promise((resolve) => server.on('exit', resolve)), new Promise((r) => setTimeout(r, 5000))]);
  server.kill('SIGKILL');
}
console.log(JSON.stringify(seen));
process.exit(0);
