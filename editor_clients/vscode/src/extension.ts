// Starts the server, shows its state, and passes the user's settings on. Everything else is the server's.
import * as vscode from 'vscode';
import { LanguageClient, State, TransportKind } from 'vscode-languageclient/node';

const SNOOZE_MINUTES = 10;
const LANGUAGES = ['python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'lua'];

let client: LanguageClient | undefined;
let status: vscode.StatusBarItem;
let quietUntil = 0;
let wake: NodeJS.Timeout | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  status = vscode.window.createStatusBarItem('unmask', vscode.StatusBarAlignment.Right, 90);
  status.name = 'unmask';
  status.command = 'unmask.snooze';
  status.show();
  context.subscriptions.push(
    status,
    vscode.commands.registerCommand('unmask.restart', restart),
    vscode.commands.registerCommand('unmask.snooze', snooze),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration('unmask.command')) {
        await restart();
      }
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  clearTimeout(wake);
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
    { command, args, transport: TransportKind.stdio },
    {
      documentSelector: LANGUAGES.map((language) => ({ language })),
      // an error of the server is a state, never a popup
      initializationFailedHandler: () => false,
      synchronize: { configurationSection: 'unmask' },
      initializationOptions: settings(),
      middleware: {
        workspace: { configuration: async (parameters) => parameters.items.map(() => settings()) },
        provideInlineCompletionItems: (document, position, context, token, next) =>
          Date.now() < quietUntil ? [] : next(document, position, context, token),
      },
    },
  );
  client.onDidChangeState(({ newState }) => showState(newState));
  try {
    await client.start();
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
  const { preset, reach, languages, deadlineMs } = vscode.workspace.getConfiguration('unmask');
  return { preset, reach, languages, deadlineMs };
}

function snooze(): void {
  const asleep = Date.now() < quietUntil;
  quietUntil = asleep ? 0 : Date.now() + SNOOZE_MINUTES * 60_000;
  clearTimeout(wake);
  if (!asleep) {
    wake = setTimeout(() => showState(client?.state ?? State.Stopped), SNOOZE_MINUTES * 60_000);
  }
  showState(client?.state ?? State.Stopped);
}

function showState(state: State): void {
  if (state === State.Stopped) {
    show('$(warning) unmask', 'the server is not running; "unmask doctor" in a terminal says why');
  } else if (state === State.Starting) {
    show('$(loading~spin) unmask', 'starting');
  } else if (Date.now() < quietUntil) {
    show('$(bell-slash) unmask', `quiet until ${new Date(quietUntil).toLocaleTimeString()}; click to end it`);
  } else {
    show('$(sparkle) unmask', `on, click to be left alone for ${SNOOZE_MINUTES} minutes`);
  }
}

function show(text: string, tooltip: string): void {
  status.text = text;
  status.tooltip = `unmask: ${tooltip}`;
}
