// Starts the server and ends it, passes the user's settings on, and knows what it said last. Everything else is its own.
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { LanguageClient, State } from 'vscode-languageclient/node';

export const LANGUAGES = [
  ...['python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'lua'],
  ...['c', 'cpp', 'java', 'shellscript', 'markdown'],
];

/** What the server says of itself, or this of a server that does not run. */
export interface Status {
  kind: 'Normal' | 'Error' | 'Inactive' | 'Off';
  busy: boolean;
  message: string;
}

export class Server implements vscode.Disposable {
  readonly log = vscode.window.createOutputChannel('unmask', { log: true });
  status: Status = { kind: 'Off', busy: false, message: 'not started' };
  private client: LanguageClient | undefined;
  private readonly changed = new vscode.EventEmitter<Status>();
  readonly onDidChangeStatus = this.changed.event;
  /** Starts and ends wait for each other. */
  private last: Promise<void> = Promise.resolve();

  get isRunning(): boolean {
    return this.client?.state === State.Running;
  }

  /** Starts it anew, or ends it where it is switched off. */
  restart(): Promise<void> {
    this.last = this.last.then(async () => {
      await this.end();
      await this.start();
    });
    return this.last;
  }

  async end(): Promise<void> {
    const old = this.client;
    this.client = undefined;
    await old?.stop().catch(() => undefined);
  }

  dispose(): void {
    this.log.dispose();
    this.changed.dispose();
  }

  /** Has the server run a command; returns what it said of that. */
  async run(command: string, argument: unknown): Promise<string> {
    const { client } = this;
    await client?.sendRequest('workspace/executeCommand', { command, arguments: [argument] });
    return this.status.message;
  }

  /** Where the cursor rests the model reads before anybody asks. */
  async tellCursor(editor: vscode.TextEditor | undefined): Promise<void> {
    const { client } = this;
    if (editor && client && this.isRunning && LANGUAGES.includes(editor.document.languageId)) {
      const { document, selection } = editor;
      const parameters = client.code2ProtocolConverter.asTextDocumentPositionParams(document, selection.active);
      await client.sendNotification('unmask/didMoveCursor', parameters).catch(() => undefined);
    }
  }

  /** Runs another command of the program; returns what it prints. Whether a server runs or not. */
  print(name: 'doctor' | 'stats'): Promise<string> {
    const [program, ...args] = commandLine();
    const at = args.lastIndexOf('lsp');
    if (!program || at < 0) {
      const found = JSON.stringify(commandLine());
      return Promise.resolve(`unmask.command must name a program and then "lsp", found ${found}\n`);
    }
    return new Promise((resolve) => {
      const env = { ...process.env, PYTHONIOENCODING: 'utf-8' };
      const child = spawn(program, [...args.slice(0, at), name], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      let printed = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => (printed += text));
      }
      child.on('error', (error) => resolve(`${error.message}\n`));
      child.on('close', () => resolve(printed));
    });
  }

  private async start(): Promise<void> {
    if (!vscode.workspace.getConfiguration('unmask').get('enabled', true)) {
      return this.say('Off', 'off');
    }
    const [command, ...args] = commandLine();
    if (!command || !(await isExecutable(command))) {
      return this.say('Error', `there is no program '${command ?? ''}': install it, or set unmask.command`);
    }
    this.say('Normal', 'starting', true);
    const client = new LanguageClient('unmask', 'unmask', { command, args }, {
      documentSelector: LANGUAGES.map((language) => ({ language })),
      outputChannel: this.log,
      // an error of the server is a state, never a popup
      initializationFailedHandler: () => false,
      synchronize: { configurationSection: 'unmask' },
      initializationOptions: settings(),
      middleware: {
        workspace: { configuration: async (parameters) => parameters.items.map(() => settings()) },
      },
    });
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Stopped && client === this.client) {
        this.say('Error', 'the server is not running');
      }
    });
    client.onNotification('didChangeStatus', (status: Status) => this.tell(status));
    try {
      await client.start();
      await this.tellCursor(vscode.window.activeTextEditor);
    } catch (error) {
      this.say('Error', `the server does not start: ${error}`);
    }
  }

  private say(kind: Status['kind'], message: string, busy = false): void {
    this.tell({ kind, busy, message });
  }

  private tell(status: Status): void {
    this.status = status;
    this.changed.fire(status);
  }
}

function commandLine(): string[] {
  return vscode.workspace.getConfiguration('unmask').get<string[]>('command', []);
}

/** What the server may know: all settings but those that start it. */
function settings(): object {
  const { preset, reach, languages, deadlineMs, targetMs } = vscode.workspace.getConfiguration('unmask');
  return { preset, reach, languages, deadlineMs, targetMs };
}

/** Whether a program is there: by its path, or on the PATH. */
async function isExecutable(program: string): Promise<boolean> {
  const folders = path.basename(program) === program ? (process.env.PATH ?? '').split(path.delimiter) : [''];
  const endings = process.platform === 'win32' ? ['', '.exe', '.cmd', '.bat'] : [''];
  for (const place of folders.flatMap((folder) => endings.map((ending) => path.join(folder, program + ending)))) {
    if (await access(place, constants.X_OK).then(() => true, () => false)) {
      return true;
    }
  }
  return false;
}
