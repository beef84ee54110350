// Wires the server, the status item and the commands together.
import * as vscode from 'vscode';
import { Alternatives } from './alternatives';
import { commandsOf } from './commands';
import { Server, type Status } from './server';

const ICONS = { Normal: 'sparkle', Warning: 'watch', Error: 'warning', Inactive: 'bell-slash', Off: 'circle-slash' };

let server: Server;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  server = new Server((context.extension.packageJSON as { version: string }).version);
  const item = vscode.window.createStatusBarItem('unmask', vscode.StatusBarAlignment.Right, 90);
  item.name = 'unmask';
  item.command = 'unmask.menu';
  item.show();
  const missing = sayOnce();
  const panel = new Alternatives(server);
  context.subscriptions.push(
    server,
    item,
    panel,
    server.onDidChangeStatus((status) => {
      show(item, status, server.difference);
      missing(status);
    }),
    ...Object.entries(commandsOf(server, panel, context)).map(([name, act]) => vscode.commands.registerCommand(`unmask.${name}`, act)),
    vscode.window.onDidChangeActiveTextEditor((editor) => server.tellCursor(editor)),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => server.tellCursor(textEditor)),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (['command', 'enabled', 'model'].some((name) => event.affectsConfiguration(`unmask.${name}`))) {
        await server.restart();
      }
    }),
  );
  // not awaited: VS Code runs no command of an extension before this function is done
  void server.restart();
}

export async function deactivate(): Promise<void> {
  await server?.end();
}

function show(item: vscode.StatusBarItem, { kind, busy, message }: Status, difference: string): void {
  item.text = `$(${busy ? 'loading~spin' : ICONS[kind]}) unmask`;
  item.tooltip = `unmask: ${[message, difference, 'a click shows what can be done'].filter(Boolean).join('; ')}`;
}

/** Where the person must act the first error of a window is told, and no other. */
function sayOnce(): (status: Status) => void {
  let isSaid = false;
  return async ({ kind, message }) => {
    if (kind === 'Error' && !isSaid) {
      isSaid = true;
      const [help, command] = server.isMissing ? ['Install', 'installServer'] : ['Show the log', 'showLog'];
      const answers: Record<string, string> = { [help]: command, Settings: 'openSettings' };
      const answer = await vscode.window.showWarningMessage(`unmask: ${message}`, ...Object.keys(answers));
      if (answer) {
        await vscode.commands.executeCommand(`unmask.${answers[answer]}`);
      }
    }
  };
}
