// The program `unmask`: how the user has named it, and running its other commands beside the server.
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';

/** What a program has printed, line by line as one reads it, and how it ended. */
export interface Done {
  printed: string;
  /** 0 when all went well; null when it could not be started, or was stopped. */
  code: number | null;
}

export const MUST_BE = 'unmask.command must be a list of words: a program and then "lsp"';

/** The program and its arguments as the user has set them; empty where the setting is something else. */
export function namedCommand(): string[] {
  const named = vscode.workspace.getConfiguration('unmask').get<unknown>('command');
  return Array.isArray(named) && named.every((word) => typeof word === 'string') ? named : [];
}

/** The command that starts the server; empty where none is set. */
export function serverCommand(): string[] {
  const model = vscode.workspace.getConfiguration('unmask').get<string>('model', '');
  const named = namedCommand();
  return named.length && model ? [...named, '--model', model] : named;
}

/** Runs another command of the program, whether a server runs or not. */
export function runCommand(words: string[], onLine?: (line: string) => void, stop?: vscode.CancellationToken): Promise<Done> {
  const [program, ...args] = namedCommand();
  const at = args.lastIndexOf('lsp');
  if (!program || at < 0) {
    return Promise.resolve({ printed: `${MUST_BE}\n`, code: null });
  }
  return run(program, [...args.slice(0, at), ...words], onLine, stop);
}

/** Runs a program to its end; `onLine` gets each line when it is there. */
export function run(program: string, args: string[], onLine?: (line: string) => void, stop?: vscode.CancellationToken): Promise<Done> {
  return new Promise((resolve) => {
    const env = { ...process.env, PYTHONIOENCODING: 'utf-8', PYTHONUNBUFFERED: '1' };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const stopping = stop?.onCancellationRequested(() => child.kill());
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach((line) => onLine?.(line));
      });
    }
    const end = (code: number | null) => {
      stopping?.dispose();
      resolve({ printed, code });
    };
    child.on('error', (error) => {
      printed += `${error.message}\n`;
      end(null);
    });
    child.on('close', end);
  });
}

/** Whether a program is there: by its path, or on the PATH. */
export async function isExecutable(program: string): Promise<boolean> {
  const folders = path.basename(program) === program ? (process.env.PATH ?? '').split(path.delimiter) : [''];
  const endings = process.platform === 'win32' ? ['', '.exe', '.cmd', '.bat'] : [''];
  for (const place of folders.flatMap((folder) => endings.map((ending) => path.join(folder, program + ending)))) {
    if (await access(place, constants.X_OK).then(() => true, () => false)) {
      return true;
    }
  }
  return false;
}
