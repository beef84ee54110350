// Starts the server and ends it, passes the user's settings on, and knows what it said last. Everything else is its own.
import * as vscode from 'vscode';
import { activationEvents } from '../package.json';
import { CancellationToken, State } from 'vscode-languageclient/node';
import { Client } from './client';
import type { Pass } from './passes';
import { isExecutable, MUST_BE, serverCommand } from './program';

/** The scheme of the panel of alternatives. */
export const PANEL = 'unmask-alternatives';
const LANGUAGES = activationEvents.map((event) => event.replace('onLanguage:', ''));
/** One that has not answered for so long is given up: the first start on a slow disk takes some seconds. */
const PATIENCE_MS = 60_000;

/** What the server says of itself, or this of a server that does not run. */
export interface Status {
  kind: 'Normal' | 'Warning' | 'Error' | 'Inactive' | 'Off';
  busy: boolean;
  message: string;
  /** What the message is without the words of a command, which are there for a moment. */
  state?: string;
}

/** The server, which may be of another release, has no such command. */
export class Lack extends Error {}

export class Server implements vscode.Disposable {
  readonly log = vscode.window.createOutputChannel('unmask', { log: true });
  /** Whether there is no program to start. */
  isMissing = false;
  status: Status = { kind: 'Off', busy: false, message: 'not started' };
  private client: Client | undefined;
  private readonly changed = new vscode.EventEmitter<Status>();
  readonly onDidChangeStatus = this.changed.event;
  private readonly passed = new vscode.EventEmitter<Pass>();
  /** A pass of the fill that is watched. */
  readonly onDidPass = this.passed.event;
  /** Starts and ends wait for each other. */
  private last: Promise<void> = Promise.resolve();
  private patience: NodeJS.Timeout | undefined;

  /** @param release of this extension. */
  constructor(private readonly release: string) {}

  get isRunning(): boolean {
    return this.client?.state === State.Running;
  }

  get isStarting(): boolean {
    return this.client?.state === State.Starting;
  }

  /** Starts it anew, or ends it where it is switched off; does not wait for its answer, which may never come. */
  restart(): Promise<void> {
    this.last = this.last.then(async () => {
      await this.end();
      await this.start();
    });
    return this.last;
  }

  async end(): Promise<void> {
    clearTimeout(this.patience);
    const old = this.client;
    this.client = undefined;
    await old?.end();
  }

  dispose(): void {
    this.log.dispose();
    this.changed.dispose();
    this.passed.dispose();
  }

  /** That the server and the extension are of two releases; empty where they are of one. */
  get difference(): string {
    const { isRunning, serverRelease, release } = this;
    return isRunning && serverRelease !== release ? `the server is ${serverRelease}, the extension ${release}` : '';
  }

  private get serverRelease(): string {
    return this.client?.initializeResult?.serverInfo?.version ?? 'of an unknown release';
  }

  /** Has the server run a command; returns what it answers. Throws `Lack` where it has none of that name. */
  async ask<Answer>(command: string, argument: unknown, token: vscode.CancellationToken): Promise<Answer | undefined> {
    const known = this.client?.initializeResult?.capabilities.executeCommandProvider?.commands;
    if (known && !known.includes(command)) {
      throw new Lack(`the server ${this.serverRelease} has no '${command}', the extension is ${this.release}`);
    }
    return this.client?.sendRequest<Answer>('workspace/executeCommand', { command, arguments: [argument] }, token);
  }

  /** The same; returns what it said of that. */
  async run(command: string, argument: unknown, token: vscode.CancellationToken = CancellationToken.None): Promise<string> {
    await this.ask(command, argument, token);
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

  private async start(): Promise<void> {
    if (!vscode.workspace.getConfiguration('unmask').get('enabled', true)) {
      return this.say('Off', 'off');
    }
    const [command, ...args] = serverCommand();
    this.isMissing = !command || !(await isExecutable(command));
    if (!command) {
      return this.say('Error', MUST_BE);
    }
    if (this.isMissing) {
      return this.say('Error', `there is no program '${command}': install it, or set unmask.command`);
    }
    const client = new Client(command, args, {
      documentSelector: LANGUAGES.map((language) => ({ language })),
      outputChannel: this.log,
      // an error of the server is a state, never a popup
      initializationFailedHandler: () => false,
      synchronize: { configurationSection: 'unmask' },
      initializationOptions: settings(),
      middleware: {
        // the model would take what stands in the panel for another file
        didOpen: (document, next) => outsideOfPanel(document, () => next(document)),
        didChange: (event, next) => outsideOfPanel(event.document, () => next(event)),
        didClose: (document, next) => outsideOfPanel(document, () => next(document)),
        workspace: {
          configuration: async (parameters) => parameters.items.map(() => settings()),
          // without them the server asks, and hears nothing of those that start it
          didChangeConfiguration: (_, next) => next(undefined),
        },
      },
    });
    this.client = client;
    client.onDidChangeState(() => queueMicrotask(() => this.sayStateOf(client)));
    client.onNotification('didChangeStatus', (status: Status) => {
      if (client === this.client) {
        this.tell(status);
      }
    });
    client.onNotification('unmask/denoising', (pass: Pass) => this.passed.fire(pass));
    // that it fails is a state
    client.start().catch(() => undefined);
  }

  /** One that has died is started again in the same moment; that it is gone is said where it stays so. */
  private sayStateOf(client: Client): void {
    if (client !== this.client) {
      return;
    }
    clearTimeout(this.patience);
    if (client.state === State.Starting) {
      this.say('Normal', 'starting', true);
      this.patience = setTimeout(() => this.giveUp(), PATIENCE_MS);
    } else if (client.state === State.Running) {
      void this.tellCursor(vscode.window.activeTextEditor);
    } else {
      const wasThere = client.initializeResult !== undefined;
      this.say('Error', wasThere ? 'the server is not running' : 'the server ended before it answered; the log may say why');
    }
  }

  private giveUp(): void {
    void this.end();
    this.say('Error', `the server has not answered for ${PATIENCE_MS / 1000} s and was ended; the log may say why`);
  }

  private say(kind: Status['kind'], message: string, busy = false): void {
    this.tell({ kind, busy, message });
  }

  private tell(status: Status): void {
    this.status = status;
    this.changed.fire(status);
  }
}

async function outsideOfPanel({ uri }: vscode.TextDocument, tell: () => Promise<void>): Promise<void> {
  if (uri.scheme !== PANEL) {
    await tell();
  }
}

/** What the server may know: all settings but those that start it. */
function settings(): object {
  const { preset, reach, languages, deadlineMs, deadlineInvokedMs, targetMs } = vscode.workspace.getConfiguration('unmask');
  return { preset, reach, languages, deadlineMs, deadlineInvokedMs, targetMs };
}
