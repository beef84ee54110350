// Starts the server, shows its state, and passes the user's settings on. Everything else is the server's.
import * as vscode from 'vscode';
import { LanguageClient, State } from 'vscode-languageclient/node';

const LANGUAGES = [
  ...['python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'lua'],
  ...['c', 'cpp', 'java', 'shellscript', 'markdown'],
];

let client: LanguageClient | undefined;
let status: vscode.StatusBarItem;
let quiet = false;

/** What the server says of itself. */
interface Status {
  kind: 'Normal' | 'Error' | 'Inactive';
  busy: boolean;
  message: string;
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  status = vscode.window.createStatusBarItem('unmask', vscode.StatusBarAlignment.Right, 90);
  status.name = 'unmask';
  status.command = 'unmask.toggle';
  status.show();
  context.subscriptions.push(
    status,
    vscode.commands.registerCommand('unmask.restart', restart),
    vscode.commands.registerCommand('unmask.toggle', toggle),
    vscode.window.onDidChangeActiveTextEditor(tellCursor),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => tellCursor(textEditor)),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration('unmask.command')) {
        await restart();
      }
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

async function start(): Promise<void> {
  const [command, ...args] = vscode.workspace.getConfiguration('unmask').get<string[]>('command', []);
  if (!command) {
    show('$(circle-slash) unmask', 'no command is set');
    return;
  }
  client = new LanguageClient(
    'unmask',
    'unmask',
    { command, args },
    {
      documentSelector: LANGUAGES.map((language) => ({ language })),
      // an error of the server is a state, never a popup
      initializationFailedHandler: () => false,
      synchronize: { configurationSection: 'unmask' },
      initializationOptions: settings(),
      middleware: {
        workspace: { configuration: async (parameters) => parameters.items.map(() => settings()) },
      },
    },
  );
  client.onDidChangeState(({ newState }) => {
    if (newState === State.Stopped) {
      show('$(warning) unmask', 'the server is not running; `unmask doctor` in a terminal says why');
    }
  });
  client.onNotification('didChangeStatus', showStatus);
  try {
    await client.start();
    await tellCursor(vscode.window.activeTextEditor);
  } catch (error) {
    show('$(warning) unmask', `the server does not start: ${error}`);
  }
}

async function restart(): Promise<void> {
  const old = client;
  client = undefined;
  await old?.stop().catch(() => undefined);
  await start();
}

/** What the server may know: all settings but the program that starts it. */
function settings(): object {
  const { preset, reach, languages, deadlineMs, targetMs } = vscode.workspace.getConfiguration('unmask');
  return { preset, reach, languages, deadlineMs, targetMs };
}

/** Where the cursor rests the model reads before anybody asks. */
async function tellCursor(editor: vscode.TextEditor | undefined): Promise<void> {
  if (editor && client?.state === State.Running && LANGUAGES.includes(editor.document.languageId)) {
    const { document, selection } = editor;
    const parameters = client.code2ProtocolConverter.asTextDocumentPositionParams(document, selection.active);
    await client.sendNotification('unmask/didMoveCursor', parameters).catch(() => undefined);
  }
}

/** Quiet for a while, or no longer. */
async function toggle(): Promise<void> {
  if (client?.state === State.Running) {
    const parameters = { command: 'unmask.snooze', arguments: quiet ? [0] : [] };
    await client.sendRequest('workspace/executeCommand', parameters).catch(() => undefined);
  }
}

function showStatus({ kind, busy, message }: Status): void {
  quiet = kind === 'Inactive';
  const icon = busy ? 'loading~spin' : { Normal: 'sparkle', Error: 'warning', Inactive: 'bell-slash' }[kind];
  show(`$(${icon}) unmask`, `${message}; a click ${quiet ? 'ends that' : 'keeps it quiet for ten minutes'}`);
}

function show(text: string, tooltip: string): void {
  status.text = text;
  status.tooltip = `unmask: ${tooltip}`;
}
