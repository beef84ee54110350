// Photographs a real VS Code, as PNGs in RUN_DIR, and says as JSON which. `suggested` asks at a line for ghost text (ghost.png)
// and the next of several (alternatives.png), opens the menu behind the status item (menu.png), and the panel of alternatives
// (panel.png); `watched` looks at a pass of a fill with text and masks (watch.png). The file is on stdin.
//   node pictures.mjs SCENARIO VSCODE_DIR EXTENSION_DIR RUN_DIR CHROMIUM SETTINGS NAME LINE MODEL
import fs from 'node:fs';
import { decorations, inWorkbench, until } from './workbench.mjs';

const [scenario, vscode, extension, run, executablePath, more, name, line, model] = process.argv.slice(2);
const VIEW = { viewport: { width: 860, height: 500 }, deviceScaleFactor: 1.25 };
const HIDDEN = {
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.activityBar.location': 'hidden',
  'workbench.layoutControl.enabled': false,
  'window.commandCenter': false,
  'window.menuBarVisibility': 'hidden',
  'editor.minimap.enabled': false,
  'editor.stickyScroll.enabled': false,
  'breadcrumbs.enabled': false,
};
// the list of a quick pick fades in, and so does the bar over ghost text
const FADING_MS = 1500;

async function suggested(bench) {
  const { page, seen } = bench;
  await page.keyboard.press('Alt+\\');
  seen.ghost = await until(() => bench.ghost(), 'ghost text');
  await photograph(bench, 'ghost');
  await page.keyboard.press('Alt+]');
  await page.locator('.view-lines [class*=ghost-text]').first().hover();
  seen.alternatives = await until(
    async () => (await page.locator('.inlineSuggestionsHints').innerText()).match(/2\/\d/)?.[0], 'the second of several');
  await photograph(bench, 'alternatives');
  await page.keyboard.press('Escape');
  seen.menu = await bench.menu('sparkle');
  await photograph(bench, 'menu');
  await page.keyboard.press('Escape');
  await bench.command('Show alternatives in a panel');
  await page.locator('.codelens-decoration a').last().waitFor({ timeout: 60_000 });
  seen.panel = await bench.panel();
  await photograph(bench, 'panel');
}

async function watched(bench) {
  await bench.command('Watch');
  const isSeen = async () => (await bench.page.evaluate(decorations)).match(/[^\s░]░.* ([2-9]|\d\d+) passes/)?.[0];
  bench.seen.pass = await until(isSeen, 'a pass with text and masks');
  await bench.page.screenshot({ path: `${run}/watch.png` });
}

async function photograph({ page }, file) {
  await page.waitForTimeout(FADING_MS);
  await page.screenshot({ path: `${run}/${file}.png` });
}

async function act(bench) {
  await bench.open(name);
  await bench.waitForIcon('sparkle', `on: ${model}`);
  await bench.page.keyboard.press('Control+B');
  await bench.go(line);
  await bench.page.waitForTimeout(FADING_MS);
  await { suggested, watched }[scenario](bench);
}

const place = { vscode, extension, run, executablePath, view: VIEW };
await inWorkbench(place, { ...HIDDEN, ...JSON.parse(more) }, { [name]: fs.readFileSync(0, 'utf8') }, act);
