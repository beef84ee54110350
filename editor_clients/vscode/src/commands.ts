// What the palette and the menu of the status item offer; all of it answers also where no server runs.
import * as vscode from 'vscode';
import type { Alternatives } from './alternatives';
import { installServer } from './install';
import { chooseModel, installModel, removeModel } from './models';
import { runCommand } from './program';
import { sayInStatus } from './said';
import { Lack, Server } from './server';
import { watch } from './watch';

const STRENGTHS = { light: 'light fix', refresh: 'refresh', rewrite: 'all of it' };
type Strength = keyof typeof STRENGTHS;

/** A command by its name, without `unmask.`; the title is that of package.json. */
type Commands = Record<string, () => Promise<void>>;

export function commandsOf(server: Server, panel: Alternatives, context: vscode.ExtensionContext): Commands {
  return {
    menu: () => showMenu(server),
    trigger: () => withServer(server, async () => {
      // where nothing was found, as while the model loads, VS Code would not ask again until the text changes
      await vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
      await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
    }),
    watchFill: () => withEditor(server, (editor) => watch(server, editor)),
    alternatives: () => withEditor(server, (editor) => panel.show(editor)),
    keepQuiet: () => withServer(server, () => keepQuiet(server)),
    toggle,
    fillAllHoles: () => withEditor(server, (editor) => fillAllHoles(server, editor)),
    rewriteLight: () => withEditor(server, (editor) => rewrite(server, editor, 'light')),
    rewriteRefresh: () => withEditor(server, (editor) => rewrite(server, editor, 'refresh')),
    rewriteAll: () => withEditor(server, (editor) => rewrite(server, editor, 'rewrite')),
    chooseModel,
    installModel,
    removeModel,
    installServer: () => installServer(context, server),
    statistics: () => showPrinted('stats'),
    doctor: () => showPrinted('doctor'),
    restart: () => server.restart(),
    showLog: async () => server.log.show(),
    openSettings: async () => {
      await vscode.commands.executeCommand('workbench.action.openSettings', 'unmask.');
    },
  };
}

/** Does something that needs a server, or says that there is none. */
async function withServer(server: Server, act: () => Promise<void>): Promise<void> {
  if (server.isRunning) {
    return act().catch((error) => (error instanceof Lack ? sayInStatus(error.message) : say(`${error}`)));
  }
  if (server.isStarting) {
    return sayInStatus('the server is starting');
  }
  const missing = { Install: 'installServer', Settings: 'openSettings' };
  const answers: Record<string, string> = server.isMissing
    ? missing
    : { 'Turn on or restart': 'restart', Doctor: 'doctor', Settings: 'openSettings' };
  const answer = await vscode.window.showWarningMessage(`unmask: ${server.status.message}`, ...Object.keys(answers));
  if (answer === 'Turn on or restart' && server.status.kind === 'Off') {
    await toggle();
  } else if (answer) {
    await vscode.commands.executeCommand(`unmask.${answers[answer]}`);
  }
}

async function withEditor(server: Server, act: (editor: vscode.TextEditor) => Promise<void>): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  return editor ? withServer(server, () => act(editor)) : say('no file is open');
}

function say(message: string): void {
  // not awaited: it resolves when somebody closes it
  void vscode.window.showInformationMessage(`unmask: ${message}`);
}

/** Off for good, or on again; the change of the setting does it. */
async function toggle(): Promise<void> {
  const settings = vscode.workspace.getConfiguration('unmask');
  await settings.update('enabled', !settings.get('enabled', true), vscode.ConfigurationTarget.Global);
}

async function keepQuiet(server: Server): Promise<void> {
  if (server.status.kind === 'Inactive') {
    await server.run('unmask.snooze', 0);
    return;
  }
  const times = [10, 30, 60, 240].map((minutes) => ({ label: `${minutes} minutes`, minutes }));
  const placeHolder = 'Offer nothing unasked for';
  const picked = await vscode.window.showQuickPick(times, { placeHolder });
  if (picked) {
    await server.run('unmask.snooze', picked.minutes);
  }
}

/** A range of a document in one state, as the server's commands take it. */
function argumentOf({ document }: vscode.TextEditor, range: vscode.Range): object {
  const ends = [range.start, range.end].map(({ line, character }) => [line, character]);
  return { uri: document.uri.toString(), version: document.version, range: ends };
}

/** Those of the selection, or around the cursor where nothing is selected. */
async function fillAllHoles(server: Server, editor: vscode.TextEditor): Promise<void> {
  say(await server.run('unmask.fillHoles', argumentOf(editor, editor.selection)));
}

/** The selected lines, or the cursor's. */
async function rewrite(server: Server, editor: vscode.TextEditor, strength: Strength): Promise<void> {
  const { selection, document } = editor;
  const range = selection.isEmpty ? document.lineAt(selection.active.line).range : selection;
  const argument = argumentOf(editor, range);
  const instruction = await vscode.window.showInputBox({
    title: `Rewrite selection: ${STRENGTHS[strength]}`,
    prompt: 'An instruction, or nothing: the model reads it as a comment, and may pass over it',
  });
  if (instruction !== undefined) {
    say(await server.run('unmask.rewriteSelection', { ...argument, strength, instruction }));
  }
}

/** Runs a command of the program, and opens what it printed as a document that nobody is asked to save. */
async function showPrinted(name: 'doctor' | 'stats'): Promise<void> {
  const location = vscode.ProgressLocation.Notification;
  const { printed } = await vscode.window.withProgress({ location, title: `unmask ${name}` }, () => runCommand([name]));
  // a document of the same name as an open one would not be read again
  const uri = vscode.Uri.from({ scheme: 'unmask', path: `unmask ${name}`, query: `${Date.now()}` });
  const provider = { provideTextDocumentContent: () => printed };
  const registered = vscode.workspace.registerTextDocumentContentProvider('unmask', provider);
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
  registered.dispose();
}

async function showMenu(server: Server): Promise<void> {
  const { contributes } = (vscode.extensions.getExtension('unmask.unmask')?.packageJSON ?? {}) as {
    contributes: { commands: { command: string; title: string }[] };
  };
  const offered = contributes.commands.filter(server.isMissing ? worksWithoutProgram : server.isRunning ? () => true : worksWithoutServer);
  const items = offered
    .filter(({ command }) => command !== 'unmask.menu')
    .map(({ command, title }) => ({ label: title, command }));
  const picked = await vscode.window.showQuickPick(items, { placeHolder: `unmask: ${server.status.state ?? server.status.message}` });
  if (picked) {
    await vscode.commands.executeCommand(picked.command);
  }
}

const WITHOUT_PROGRAM = ['toggle', 'installServer', 'restart', 'showLog', 'openSettings'];
const WITHOUT_SERVER = [...WITHOUT_PROGRAM, 'chooseModel', 'installModel', 'removeModel', 'statistics', 'doctor'];

function worksWithoutProgram({ command }: { command: string }): boolean {
  return WITHOUT_PROGRAM.some((name) => command === `unmask.${name}`);
}

function worksWithoutServer({ command }: { command: string }): boolean {
  return WITHOUT_SERVER.some((name) => command === `unmask.${name}`);
}
