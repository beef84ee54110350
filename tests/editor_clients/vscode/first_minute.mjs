// Opens a file in a VS Code as somebody has set it up, types some text, asks for ghost text until there is some, and says as
// JSON the seconds since VS Code was started.
//   node first_minute.mjs PLACE NAME TYPED
import { inWorkbench, until } from './workbench.mjs';

const [place, name, typed] = process.argv.slice(2);
const ASKED_MS = 8000;
const began = Date.now();

async function act(bench) {
  const { page, seen } = bench;
  await bench.open(name);
  await bench.waitForIcon('sparkle', 'on: ');
  // VS Code's own chat takes the focus when it is there
  await page.click('.monaco-editor .view-lines');
  await page.keyboard.press('Control+End');
  await page.keyboard.type(typed, { delay: 60 });
  let asked = 0;
  seen.ghost = await until(async () => {
    // a request waits for the model for a few seconds only
    if (Date.now() > asked + ASKED_MS) {
      await page.keyboard.press('Alt+\\');
      asked = Date.now();
    }
    return bench.ghost();
  }, 'ghost text', 180);
  seen.seconds = (Date.now() - began) / 1000;
}

await inWorkbench(JSON.parse(place), {}, {}, act);
