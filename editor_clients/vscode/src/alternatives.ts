// The panel "Alternatives": several whole suggestions for one place, as a document beside the editor that is read only. One is
// taken by the words above it, or by Enter in its lines; closing the panel ends what still runs.
import * as vscode from 'vscode';
import { alternativeAt, layOut, linesOf, type Layout } from './layout';
import { sayInStatus } from './said';
import { PANEL, type Server } from './server';

const URI = vscode.Uri.from({ scheme: PANEL, path: 'Alternatives' });
const ACCEPT = 'unmask.acceptAlternative';

/** An item of the server's, see lsp_server/packing.py. */
interface Item {
  insertText: string;
  command: { command: string; arguments: unknown[] };
}

/** What is looked for, and what has been found. */
interface Search {
  editor: vscode.TextEditor;
  /** Of the document that the alternatives are for. */
  version: number;
  at: vscode.Position;
  /** What stands in its line. */
  before: string;
  after: string;
  stopped: vscode.CancellationTokenSource;
  items: Item[];
  layout: Layout;
}

export class Alternatives implements vscode.TextDocumentContentProvider, vscode.CodeLensProvider, vscode.Disposable {
  private search: Search | undefined;
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly parts: vscode.Disposable;

  constructor(private readonly server: Server) {
    this.parts = vscode.Disposable.from(
      this.changed,
      vscode.workspace.registerTextDocumentContentProvider(PANEL, this),
      vscode.languages.registerCodeLensProvider({ scheme: PANEL }, this),
      vscode.commands.registerCommand(ACCEPT, (at: number | undefined) => this.accept(at)),
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        // a tab that is moved is closed and opened
        if (closed.some(isPanel) && !panels().length) {
          this.forget();
        }
      }),
    );
  }

  dispose(): void {
    this.forget();
    this.parts.dispose();
  }

  provideTextDocumentContent(): string {
    return this.search?.layout.text ?? '';
  }

  provideCodeLenses(): vscode.CodeLens[] {
    const { layout } = this.search ?? {};
    return (layout?.starts ?? []).map((line, at, { length }) => {
      const command = { command: ACCEPT, arguments: [at], title: `Accept ${at + 1} of ${length}` };
      return new vscode.CodeLens(new vscode.Range(line, 0, line, 0), command);
    });
  }

  /** Opens the panel, and looks for alternatives at the cursor of an editor. */
  async show(editor: vscode.TextEditor): Promise<void> {
    const { document } = editor;
    if (document.uri.scheme === PANEL) {
      return;
    }
    this.forget();
    const search = beginning(editor);
    this.search = search;
    const found = this.find(search);
    this.say(search, 'looking for alternatives …');
    const panel = await vscode.workspace.openTextDocument(URI);
    await vscode.languages.setTextDocumentLanguage(panel, document.languageId);
    await vscode.window.showTextDocument(panel, { viewColumn: vscode.ViewColumn.Beside });
    await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: 'unmask: alternatives' }, () => found);
  }

  private async find(search: Search): Promise<void> {
    const { editor, version, at, stopped } = search;
    const argument = { uri: editor.document.uri.toString(), version, position: [at.line, at.character] };
    try {
      const answer = await this.server.ask<{ items: Item[] }>('unmask.findAlternatives', argument, stopped.token);
      search.items = answer?.items ?? [];
      this.say(search, this.server.status.message + (search.items.length ? '; Enter takes the one at the cursor' : ''));
    } catch (error) {
      this.say(search, `no alternatives: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** Writes a heading over what has been found. */
  private say(search: Search, heading: string): void {
    const texts = search.items.map(({ insertText }) => insertText);
    search.layout = layOut(heading, search.before, search.after, texts);
    if (search === this.search) {
      this.changed.fire(URI);
    }
  }

  /** Takes one by its number, or the one at the panel's cursor, if the document is what it was. */
  private async accept(number: number | undefined): Promise<void> {
    const { search } = this;
    const cursor = vscode.window.activeTextEditor?.selection.active.line ?? 0;
    const item = search?.items[number ?? alternativeAt(search.layout, cursor)];
    if (search && item && !(await this.insert(search, item.insertText))) {
      sayInStatus('the document was edited; ask for alternatives again');
    } else if (item) {
      // a server that is gone learns nothing, and the text stands all the same
      await this.server.run(item.command.command, item.command.arguments[0]).catch(() => undefined);
    }
  }

  /** Closes the panel and inserts a text where it was asked for; false, and neither, where the document has changed. */
  private async insert({ editor, version, at }: Search, text: string): Promise<boolean> {
    const { document, viewColumn } = editor;
    if (document.isClosed || document.version !== version) {
      return false;
    }
    await vscode.window.tabGroups.close(panels());
    // a cell of a notebook has no column
    const shown = viewColumn ? await vscode.window.showTextDocument(document, viewColumn) : editor;
    const isDone = await shown.edit((edit) => edit.insert(at, text));
    const lines = linesOf(text);
    const last = lines.at(-1)?.length ?? 0;
    const end = lines.length === 1 ? at.translate(0, last) : new vscode.Position(at.line + lines.length - 1, last);
    shown.selection = new vscode.Selection(end, end);
    return isDone;
  }

  /** Ends what still runs; the panel is closed, or about to show something else. */
  private forget(): void {
    this.search?.stopped.cancel();
    this.search?.stopped.dispose();
    this.search = undefined;
  }
}

function beginning(editor: vscode.TextEditor): Search {
  const { document, selection: { active: at } } = editor;
  const line = document.lineAt(at).text;
  const [before, after] = [line.slice(0, at.character), line.slice(at.character)];
  const stopped = new vscode.CancellationTokenSource();
  return { editor, version: document.version, at, before, after, stopped, items: [], layout: { text: '', starts: [] } };
}

function panels(): vscode.Tab[] {
  return vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs.filter(isPanel));
}

function isPanel({ input }: vscode.Tab): boolean {
  return input instanceof vscode.TabInputText && input.uri.scheme === PANEL;
}
