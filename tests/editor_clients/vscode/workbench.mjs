// A real VS Code in a real browser, with our extension: starts it, does something in it, and ends it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';

const ITEM = '[id="unmask.unmask"], [aria-label*="unmask"]';
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];

/** Nothing is drawn or typed but by the person and by us. */
const PLAIN = {
  'editor.autoClosingBrackets': 'never',
  'editor.quickSuggestions': { other: 'off' },
  'editor.parameterHints.enabled': false,
  'chat.disableAIFeatures': true,
  'workbench.startupEditor': 'none',
};

export async function until(condition, what, seconds = 90) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await Promise.resolve().then(condition).catch(() => undefined);
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** What one does in the window; `seen` is what is told of it at the end. */
export class Workbench {
  seen = {};

  constructor(page, run) {
    this.page = page;
    this.run = run;
  }

  read(name) {
    return fs.readFileSync(`${this.run}/workspace/${name}`, 'utf8');
  }

  settings() {
    return JSON.parse(fs.readFileSync(`${this.run}/user/Machine/settings.json`, 'utf8'));
  }

  /** Changes a setting in its file. */
  change(name, value) {
    write(`${this.run}/user/Machine/settings.json`, JSON.stringify({ ...this.settings(), [name]: value }));
  }

  async open(name) {
    const { page } = this;
    await page.keyboard.press('Control+P');
    await page.waitForSelector('.quick-input-widget input', { timeout: 60_000 });
    await page.keyboard.type(name);
    await this.pick(name);
    await page.waitForSelector('.monaco-editor .view-lines', { timeout: 60_000 });
    await until(() => page.locator(`.tab.active[data-resource-name="${name}"]`).count(), `the tab of ${name}`);
    await page.click('.monaco-editor .view-lines');
  }

  /** Takes the entry of a quick pick with some text. */
  async pick(text) {
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: text }).first();
    await row.waitFor({ timeout: 60_000 });
    await row.click();
  }

  /** Clicks on the status item once it has an icon; returns what the menu offers. */
  async menu(icon) {
    await this.waitForIcon(icon);
    await this.page.locator(ITEM).first().click();
    return this.rows('');
  }

  /** What a quick pick offers, once it offers something with some text. */
  async rows(text) {
    const rows = this.page.locator('.quick-input-list .monaco-list-row');
    await rows.filter({ hasText: text }).first().waitFor({ timeout: 60_000 });
    return rows.allInnerTexts();
  }

  async waitForIcon(icon, words = '') {
    const item = this.page.locator(ITEM).first();
    await until(async () => {
      this.seen.tooltip = await item.getAttribute('aria-label');
      return (await item.innerHTML()).includes(icon) && this.seen.tooltip.includes(words);
    }, `the status item to show ${icon} ${words}`);
  }

  /** Puts the cursor behind the text of a line, from 1, in the middle of the window. */
  async go(line) {
    await this.page.keyboard.press('Control+G');
    await this.page.waitForSelector('.quick-input-widget input', { timeout: 60_000 });
    await this.page.keyboard.type(`${line}`);
    await this.page.keyboard.press('Enter');
    await this.page.keyboard.press('End');
  }

  async command(title) {
    await this.page.keyboard.press('F1');
    await this.page.waitForSelector('.quick-input-widget input', { timeout: 60_000 });
    await this.page.keyboard.type(`unmask: ${title}`);
    await this.pick(`unmask: ${title}`);
  }

  /** Presses a button of a dialog, and returns what the dialog says. */
  async answer(button) {
    const dialog = this.page.locator('.monaco-dialog-box');
    await dialog.waitFor({ timeout: 60_000 });
    const said = await dialog.innerText();
    await dialog.locator('.monaco-button').filter({ hasText: new RegExp(`^${button}$`) }).click();
    return said;
  }

  /** Waits for a message of the extension; toasts are not drawn under the driver, so that it is read in their list. */
  async message(text) {
    await until(async () => (await this.messages()).includes(text), `the message ${text}`);
  }

  /** The messages in their list. */
  async messages() {
    const { page } = this;
    await page.keyboard.press('F1');
    await page.waitForSelector('.quick-input-widget input', { timeout: 10_000 });
    await page.keyboard.type('Notifications: Show Notifications');
    await this.pick('Show Notifications');
    await page.waitForTimeout(1000);
    return (await page.locator('.notifications-center .notification-list-item').allInnerTexts()).join(' ');
  }

  /** What the first editor shows. */
  async text() {
    return (await this.page.locator('.view-lines').first().innerText()).replaceAll('\u00a0', ' ');
  }

  /** What the panel of alternatives shows; empty while there is none. */
  async panel() {
    const tab = this.page.locator('.tab[data-resource-name="Alternatives"]');
    const lines = this.page.locator('.editor-group-container').filter({ has: tab }).locator('.view-lines');
    return (await lines.allInnerTexts()).join('').replaceAll('\u00a0', ' ');
  }

  /** The ghost text as it is drawn. */
  async ghost() {
    // VS Code breaks it into a span for each run of characters
    return (await this.page.locator('.view-lines [class*=ghost-text]').allInnerTexts()).join('');
  }
}

/** In the window: what is drawn by decorations, which is no text of the page. */
export function decorations() {
  const spans = [...document.querySelectorAll('.view-line span')];
  const texts = spans.map((span) => getComputedStyle(span, '::after').content).filter((text) => text.startsWith('"'));
  return texts.map((text) => JSON.parse(text)).join('').replaceAll('\u00a0', ' ');
}

/**
 * Does something in a window with some files, and prints what was seen as JSON; a failure is `error`.
 * `place` has the folders of VS Code (`vscode`), the extension and this run, chromium's path, and how large the window is
 * (`view`), and whether it trusts its folder (`trusts`). With the folder of a server on this machine (`data`) the extension and
 * the settings are those that are there.
 */
export async function inWorkbench(place, settings, files, act) {
  const { extension, run, data, executablePath, view = { viewport: { width: 1100, height: 600 } } } = place;
  const { chromium } = createRequire(path.join(extension, 'package.json'))('playwright-core');
  for (const [name, content] of Object.entries(files)) write(`${run}/workspace/${name}`, content);
  for (const folder of data ? [] : ['user/User', 'user/Machine']) {
    write(`${run}/${folder}/settings.json`, JSON.stringify({ ...PLAIN, ...settings }));
  }
  const port = await freePort();
  const server = startServer(place, port);
  let browser;
  let bench;
  let error;
  try {
    await until(async () => (await fetch(`http://127.0.0.1:${port}/version`)).ok, 'the server');
    browser = await chromium.launch({ executablePath, args: [...QUIET, '--disable-component-update', '--disable-sync'] });
    const page = await browser.newPage(view);
    await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
    bench = new Workbench(page, run);
    const payload = data ? [] : [['extensionDevelopmentPath', `vscode-remote://127.0.0.1:${port}${extension}`]];
    const query = `folder=${run}/workspace&payload=${encodeURIComponent(JSON.stringify(payload))}`;
    await page.goto(`http://127.0.0.1:${port}/?${query}`, { waitUntil: 'domcontentloaded' });
    await page.waitForSelector('.monaco-workbench', { timeout: 90_000 });
    await page.waitForTimeout(2000);
    await act(bench);
  } catch (failure) {
    error = `${failure}`;
    await bench?.page.locator('[id="status.notifications"]').click({ timeout: 5000 }).catch(() => undefined);
    await bench?.page.screenshot({ path: `${run}/failure.png` }).catch(() => undefined);
  } finally {
    await browser?.close();
    server.kill('SIGTERM');
    await Promise.race([new Promise((resolve) => server.on('exit', resolve)), new Promise((r) => setTimeout(r, 5000))]);
    server.kill('SIGKILL');
  }
  console.log(JSON.stringify({ ...bench?.seen, ...(error ? { error } : {}) }));
  process.exit(0);
}

function write(file, content) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

function startServer({ vscode, run, data, trusts = true }, port) {
  const node = `${vscode}/node/node`;
  const options = ['--host', '127.0.0.1', '--port', `${port}`, '--without-connection-token', '--accept-server-license-terms'];
  options.push('--enable-smoke-test-driver', '--telemetry-level', 'off', '--disable-experiments');
  if (trusts) options.push('--disable-workspace-trust');
  options.push('--server-data-dir', data ?? `${run}/data`);
  if (!data) options.push('--user-data-dir', `${run}/user`, '--extensions-dir', `${run}/extensions`);
  const log = fs.openSync(`${run}/server.log`, 'w');
  const env = { ...process.env, PATH: `${path.dirname(node)}:${process.env.PATH}` };
  return spawn(node, [`${vscode}/vscode/out/server-main.js`, ...options], { env, stdio: ['ignore', log, log] });
}
