// Presses keys in a real VS Code, and says as JSON how long each took until ghost text was drawn; see drawn.py, which
// gives the text on stdin.
//   node drawn.mjs VSCODE_DIR EXTENSION_DIR RUN_DIR CHROMIUM SETTINGS PLACES
import fs from 'node:fs';
import { inWorkbench } from '../tests/editor_clients/vscode/workbench.mjs';

const [vscode, extension, run, executablePath, more, wanted] = process.argv.slice(2);
const text = fs.readFileSync(0, 'utf8');
const LONGEST_MS = 5000;
const SETTLE_MS = 1000;
const settings = { ...JSON.parse(more), 'files.autoSave': 'off' };

/** In the window: from the event of the next key to the frame behind the one in which ghost text is there, `rest` if not empty. */
function measureNextKey([longest, rest]) {
  window.drawn = new Promise((resolve) => {
    let began;
    const at = () => (performance.timeOrigin + (began ?? 0)) / 1000;
    const isDrawn = () => {
      const text = [...document.querySelectorAll('.view-lines [class*=ghost-text]')].map((one) => one.innerText).join('');
      return rest ? text === rest : text !== '';
    };
    const look = () => {
      if (began !== undefined && isDrawn()) {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve({ ms: performance.now() - began, at: at() })));
      }
    };
    const observer = new MutationObserver(look);
    const options = { subtree: true, childList: true, attributes: true, characterData: true };
    addEventListener('keydown', (event) => {
      began ??= event.timeStamp;
      observer.observe(document.body, options);
    }, { capture: true, once: true });
    setTimeout(() => resolve({ ms: null, at: at() }), longest);
  });
}

async function measure(bench) {
  const { page, seen } = bench;
  seen.times = { asked: [], typed: [] };
  await bench.open('inventory.py');
  await bench.waitForIcon('sparkle', 'on');
  for (const { kind, number, start } of JSON.parse(wanted)) {
    await page.keyboard.press('Escape');
    await bench.go(number + 1);
    const line = text.split('\n')[number];
    // the rest of the line goes, as one step that is undone afterwards
    await page.keyboard.down('Shift');
    for (let left = line.length - start.length; left > 0; left--) await page.keyboard.press('ArrowLeft');
    await page.keyboard.up('Shift');
    await page.keyboard.press('Delete');
    await page.waitForTimeout(SETTLE_MS);
    if (kind === 'asked') {
      await page.keyboard.press('Escape');
      await page.waitForTimeout(SETTLE_MS);
    }
    const shown = await bench.ghost();
    if (kind === 'asked' || shown.length > 1) {
      await page.evaluate(measureNextKey, [LONGEST_MS, kind === 'asked' ? '' : shown.slice(1)]);
      await (kind === 'asked' ? page.keyboard.press('Alt+\\') : page.keyboard.type(shown[0]));
      seen.times[kind].push(await page.evaluate(() => window.drawn));
    } else {
      seen.times[kind].push({ ms: null, at: 0 });
    }
    await page.keyboard.press('Escape');
    for (let step = 0; step < 2; step++) await page.keyboard.press('Control+Z');
  }
}

const files = { 'inventory.py': text };
await inWorkbench({ vscode, extension, run, executablePath }, settings, files, measure);
