// The language client, made to leave nothing behind and to say nothing over the text. What runs it is server.ts.
import { CloseAction, LanguageClient, State } from 'vscode-languageclient/node';
import type { ErrorHandler, LanguageClientOptions, MessageTransports } from 'vscode-languageclient/node';

export class Client extends LanguageClient {
  private isOver = false;

  constructor(command: string, args: string[], options: LanguageClientOptions) {
    const errorHandler = {} as ErrorHandler;
    super('unmask', 'unmask', { command, args }, { ...options, errorHandler });
    const usual = this.createDefaultErrorHandler();
    Object.assign(errorHandler, {
      error: usual.error.bind(usual),
      // what dies while it runs is started again; what never answered would do no better
      closed: () => (this.isOver || !this.initializeResult ? { action: CloseAction.DoNotRestart } : usual.closed()),
    });
  }

  /** An error is a state and a line in the log, never a popup. */
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  /** Ends the server, also one that has not answered yet: by itself the language client stops only what runs. */
  async end(): Promise<void> {
    this.isOver = true;
    if (this.state === State.Starting) {
      this.serverProcess?.kill();
    }
    await this.stop().catch(() => undefined);
  }

  protected override async createMessageTransports(encoding: string): Promise<MessageTransports> {
    const transports = await super.createMessageTransports(encoding);
    // ended before there was a process
    if (this.isOver) {
      this.serverProcess?.kill();
    }
    return transports;
  }
}
