// The command "Watch": one fill pass by pass, as decorations where its text would stand; at the end it is ghost text.
import * as vscode from 'vscode';
import { LSPErrorCodes, ResponseError } from 'vscode-languageclient/node';
import { MOST_PIECES, type Pass, type Piece, piecesOf } from './passes';
import { sayInStatus } from './said';
import type { Server } from './server';

const COLOURS: Record<Piece['sureness'], vscode.ThemeColor> = {
  mask: new vscode.ThemeColor('disabledForeground'),
  sure: new vscode.ThemeColor('charts.green'),
  likely: new vscode.ThemeColor('charts.yellow'),
  unsure: new vscode.ThemeColor('charts.red'),
};
let pool: vscode.TextEditorDecorationType[] | undefined;

/** One type for each piece: what is drawn at one place stands in the order of the names of their types. */
function types(): vscode.TextEditorDecorationType[] {
  pool ??= Array.from({ length: MOST_PIECES }, () => vscode.window.createTextEditorDecorationType({})).sort((one, other) =>
    one.key < other.key ? -1 : 1,
  );
  return pool;
}

/** Fills at the cursor; whatever changes the text or moves the cursor ends it. */
export async function watch(server: Server, editor: vscode.TextEditor): Promise<void> {
  const { document } = editor;
  const { active } = editor.selection;
  const { version } = document;
  let drawn = 0;
  const draw = (pieces: Piece[]) => {
    for (const [at, type] of types().slice(0, Math.max(drawn, pieces.length)).entries()) {
      editor.setDecorations(type, pieces.slice(at, at + 1).map((piece) => decorationOf(piece, active)));
    }
    drawn = pieces.length;
  };
  const stopped = new vscode.CancellationTokenSource();
  let found = false;
  const isHere = () => document.version === version && editor.selection.active.isEqual(active);
  const stopWhenGone = () => isHere() || stopped.cancel();
  const during = vscode.Disposable.from(
    stopped,
    server.onDidPass((pass) => {
      if (pass.textDocument.uri === document.uri.toString() && pass.textDocument.version === version && isHere()) {
        found = pass.final && pass.text.trim() !== '';
        draw(piecesOf(pass));
      }
    }),
    vscode.workspace.onDidChangeTextDocument(stopWhenGone),
    vscode.window.onDidChangeTextEditorSelection(stopWhenGone),
    vscode.window.onDidChangeActiveTextEditor(() => stopped.cancel()),
  );
  const argument = { uri: document.uri.toString(), version, position: [active.line, active.character] };
  try {
    const message = await server.run('unmask.watch', argument, stopped.token);
    sayInStatus(message);
  } catch (error) {
    found = false;
    // a newer request of the document ends it too, as a second press of its key
    const isOver = error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
    if (!isOver && !stopped.token.isCancellationRequested) {
      throw error;
    }
  } finally {
    during.dispose();
    draw([]);
  }
  if (found && isHere()) {
    await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
  }
}

function decorationOf({ text, sureness }: Piece, at: vscode.Position): vscode.DecorationOptions {
  const contentText = text.replaceAll(' ', '\u00a0');
  return { range: new vscode.Range(at, at), renderOptions: { after: { contentText, color: COLOURS[sureness] } } };
}
