// Drives the page of `unmask play` in a real browser, and says what it saw as JSON.
//   node driver.mjs SCENARIO ADDRESS MODULES CHROMIUM PICTURE
// `typing` types, watches, takes, and looks at the figures; `outsider` comes without the token; `picture` fills the first
// example, with masks that show, beside one token at a time; `late` moves the cursor before an answer comes.
import { createRequire } from 'node:module';

const [scenario, address, modules, executablePath, picture] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update'];
const seen = { errors: [], others: [] };
const browser = await chromium.launch({ executablePath, args: flags });
const page = await browser.newPage({ viewport: { width: 1360, height: 850 }, deviceScaleFactor: scenario === 'picture' ? 1.2 : 1 });
page.setDefaultTimeout(90_000);
page.on('pageerror', (error) => seen.errors.push(String(error)));
// what the policy of the page forbids is said here
page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
page.on('request', (request) => request.url().startsWith(address.split('#')[0]) || seen.others.push(request.url()));

const text = () => page.locator('.cm-content').innerText();
const stage = () => page.locator('#stage').innerText();

async function fillThat(words) {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+A');
  // over a selection Chromium itself would try a style, which the policy forbids, and say so
  await page.keyboard.press('Delete');
  await page.keyboard.type(words);
}

const scenarios = {
  async typing() {
    await page.goto(address);
    await page.waitForSelector('#status.ready');
    seen.address = page.url();
    await fillThat('slow');
    await page.waitForSelector('#stage .mask');
    seen.masked = await page.locator('#stage .mask').count();
    await fillThat('x = ');
    await page.waitForSelector('#lane-own.ended');
    await page.waitForFunction(() => document.getElementById('play-pause').textContent === '▶');
    seen.stage = await stage();
    seen.ghost = await page.locator('.cm-content .ghost').innerText();
    await page.keyboard.press('Tab');
    seen.taken = await text();
    await page.click('#compare');
    await page.waitForSelector('#lane-compared.ended');
    seen.compared = await page.locator('#lane-compared dl').innerText();
    await page.reload();
    await page.waitForSelector('#status.ready');
    await page.selectOption('#model', 'broken');
    await page.waitForSelector('#status.down');
    seen.broken = await page.locator('#status').innerText();
    await page.selectOption('#model', 'fake');
    await page.waitForSelector('#status.ready');
    await page.click('#tab-figures');
    await page.waitForSelector('#figures .tile');
    seen.figures = await page.locator('#figures').innerText();
  },

  async outsider() {
    await page.goto(address.split('#')[0]);
    await page.waitForSelector('#status.down');
    seen.status = await page.locator('#status').innerText();
    // a browser says so of every try
    seen.errors = seen.errors.filter((error) => !error.includes('403'));
  },

  async late() {
    const held = [];
    let deliver;
    await page.routeWebSocket(/socket$/, (socket) => {
      const server = socket.connectToServer();
      server.onMessage((message) => (message.includes('"step"') ? held.push(message) : socket.send(message)));
      deliver = () => held.splice(0).forEach((message) => socket.send(message));
    });
    await page.goto(address);
    await page.waitForSelector('#status.ready');
    await fillThat('x = ');
    while (!held.some((message) => message.includes('"final":true') && message.includes('<x = '))) await page.waitForTimeout(50);
    await page.keyboard.press('ArrowLeft');
    deliver();
    await page.waitForTimeout(500);
    seen.ghosts = await page.locator('.cm-content .ghost').count();
  },

  async picture() {
    await page.goto(address);
    await page.waitForSelector('#status.ready', { timeout: 240_000 });
    await page.evaluate(() => {
      document.getElementById('max_steps').value = 2;
      document.getElementById('frugal').checked = false;
      document.getElementById('controls').oninput();
      document.getElementById('compare').click();
    });
    await page.waitForSelector('#lane-compared.ended');
    seen.masks = await page.evaluate(() => {
      // a token that is revealed to the right of a mask: what no model that writes from left to right does
      const passes = [...document.querySelectorAll('#lane-own g')];
      passes.findLast((pass) => pass.querySelectorAll('.mask').length > 2)?.onclick();
      return document.querySelectorAll('#stage .mask').length;
    });
  },
};

try {
  await scenarios[scenario]();
} catch (error) {
  seen.error = String(error);
}
const said = JSON.stringify(seen);
// with a style of its own, which the policy forbids
if (picture) await page.screenshot({ path: picture });
await browser.close();
console.log(said);
