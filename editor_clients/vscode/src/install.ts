// The server in a virtual environment of its own, made when the person agrees to it.
import { readdir, rm } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { namedCommand, run } from './program';
import { ASK, complaintOf, isNewEnough, LEAST, NAMES, stepOf } from './python';
import type { Server } from './server';

const FOLDER = 'server';

/** Asks, makes the environment, installs the wheel, and names the program in the settings, which starts it. */
export async function installServer(context: vscode.ExtensionContext, server: Server): Promise<void> {
  const python = await findPython();
  if (!python) {
    void vscode.window.showWarningMessage(`unmask: Python ${LEAST} or newer must be on the PATH`);
    return;
  }
  const wheel = await findWheel(context);
  const [old, target] = environments(context.globalStorageUri.fsPath);
  if (!wheel || !(await isAgreed(wheel, python, target))) {
    return;
  }
  const complaint = await withSteps((show, stop) => make(python, wheel, target, show, server.log, stop));
  if (complaint === undefined) {
    const bin = process.platform === 'win32' ? 'Scripts' : 'bin';
    const command = [path.join(target, bin, 'unmask'), 'lsp'];
    await vscode.workspace.getConfiguration('unmask').update('command', command, vscode.ConfigurationTarget.Global);
  }
  // half an environment is none; Windows deletes no program before it has ended
  const useless = complaint === undefined ? old : target;
  await rm(useless, { recursive: true, force: true, maxRetries: 10 }).catch((error) => server.log.error(`${error}`));
  if (complaint && (await vscode.window.showWarningMessage(`unmask: ${complaint}`, 'Show the log'))) {
    server.log.show();
  }
}

/** The folder of the environment that may be in use, and that of the one to make: an install that fails leaves the former. */
function environments(storage: string): [string, string] {
  const [one, other] = [path.join(storage, FOLDER), path.join(storage, `${FOLDER}-2`)];
  return namedCommand()[0]?.startsWith(one + path.sep) ? [one, other] : [other, one];
}

async function findPython(): Promise<string | undefined> {
  for (const name of NAMES) {
    if (isNewEnough((await run(name, ASK)).printed)) {
      return name;
    }
  }
  return undefined;
}

/** That of the settings, the one in the extension, or one that the person shows. */
async function findWheel(context: vscode.ExtensionContext): Promise<string | undefined> {
  const named = vscode.workspace.getConfiguration('unmask').get('wheel', '');
  if (named) {
    return named;
  }
  const folder = context.asAbsolutePath(FOLDER);
  const inside = (await readdir(folder).catch(() => [])).find((file) => file.endsWith('.whl'));
  if (inside) {
    return path.join(folder, inside);
  }
  const title = 'The wheel of unmask (pip wheel --no-deps . in its checkout makes it)';
  const shown = await vscode.window.showOpenDialog({ title, filters: { Wheels: ['whl'] } });
  return shown?.[0]?.fsPath;
}

async function isAgreed(wheel: string, python: string, target: string): Promise<boolean> {
  const detail = [
    `From ${wheel}, with ${python}, into ${target}.`,
    'pip fetches what the model needs (torch and others, about 1.3 GB) from the index that it is set to.',
    'Nothing else on this machine is changed; to undo it, delete that folder.',
  ].join('\n');
  const question = 'Install the server of unmask in a Python environment of its own?';
  return (await vscode.window.showInformationMessage(question, { modal: true, detail }, 'Install')) === 'Install';
}

/** Runs something that tells its steps and can be stopped. */
function withSteps<T>(work: (show: (step: string) => void, stop: vscode.CancellationToken) => Promise<T>): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, title: 'Installing unmask', cancellable: true };
  return vscode.window.withProgress(options, (progress, stop) => work((message) => progress.report({ message }), stop));
}

/** Returns undefined when all went well, else what went wrong in one line; nothing to say of what was stopped. */
async function make(
  python: string,
  wheel: string,
  target: string,
  show: (step: string) => void,
  log: vscode.LogOutputChannel,
  stop: vscode.CancellationToken,
): Promise<string | undefined> {
  const bin = path.join(target, process.platform === 'win32' ? 'Scripts' : 'bin', 'python');
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--progress-bar', 'off', `${wheel}[model]`];
  const steps: [string, string, string[]][] = [
    ['making the environment', python, ['-m', 'venv', '--clear', target]],
    ['asking pip', bin, pip],
  ];
  for (const [name, program, args] of steps) {
    show(name);
    const { printed, code } = await run(program, args, (line) => {
      log.info(line);
      const step = stepOf(line);
      if (step) {
        show(step);
      }
    }, stop);
    if (stop.isCancellationRequested) {
      return '';
    }
    if (code !== 0) {
      return complaintOf(printed) || `${program} failed`;
    }
  }
  return undefined;
}
