// What is told in the status bar for a moment, where a message over the text would be in the way.
import * as vscode from 'vscode';

const SAID_MS = 10_000;

export function sayInStatus(message: string): void {
  vscode.window.setStatusBarMessage(`unmask: ${message}`, SAID_MS);
}
