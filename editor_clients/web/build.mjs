// Writes what `unmask play` serves: one script, the page as it is, and the licences of what is in the script.
//   node build.mjs [FOLDER]    the package's own folder when none is named
import * as esbuild from 'esbuild';
import fs from 'node:fs';
import path from 'node:path';

const here = import.meta.dirname;
const folder = process.argv[2] ?? path.join(here, '../../unmask_cli/play/page');
const built = await esbuild.build({
  absWorkingDir: here,
  entryPoints: ['src/main.js'],
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  legalComments: 'none',
  metafile: true,
  outfile: path.join(folder, 'main.js'),
});
for (const name of ['index.html', 'style.css', 'icon.svg']) {
  fs.copyFileSync(path.join(here, 'src', name), path.join(folder, name));
}

const packages = new Set();
for (const input of Object.keys(built.metafile.inputs)) {
  const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/);
  if (found) packages.add(found[1]);
}
const licences = [...packages].sort().map((name) => {
  const root = path.join(here, 'node_modules', name);
  const { version, license } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  const text = fs.readFileSync(path.join(root, 'LICENSE'), 'utf8').trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
const head = 'main.js holds the following packages.\n';
fs.writeFileSync(path.join(folder, 'LICENSES.txt'), [head, ...licences].join(`\n${'-'.repeat(80)}\n\n`));
