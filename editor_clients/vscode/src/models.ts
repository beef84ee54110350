// Choosing, installing and removing a model: what `unmask models` does, from the menu and the palette.
import * as vscode from 'vscode';
import { describe, type Model, readModels, shareOf } from './catalogue';
import { runCommand } from './program';
import { sayInStatus } from './said';

const EMBEDDED = 'embedded';

interface Choice extends vscode.QuickPickItem {
  model: string;
  /** It must be fetched first. */
  toFetch?: Model;
}

/** Has another model answer; the change of the setting starts the server anew with it. */
export async function chooseModel(): Promise<void> {
  const models = await listed();
  if (!models) {
    return;
  }
  const settings = vscode.workspace.getConfiguration('unmask');
  const now = settings.get('model', '');
  const choices: Choice[] = [
    { label: 'Automatic', model: '', description: 'what settings.toml says, else the best installed one that is fast here' },
    { label: EMBEDDED, model: EMBEDDED, description: 'comes with the program, knows little' },
    ...models.map((model) => ({
      label: model.name,
      model: model.name,
      description: describe(model),
      ...(model.installed ? {} : { toFetch: model }),
    })),
  ];
  for (const choice of choices) {
    choice.iconPath = new vscode.ThemeIcon(choice.model === now ? 'check' : choice.toFetch ? 'cloud-download' : 'blank');
  }
  const picked = await vscode.window.showQuickPick(choices, { placeHolder: 'Which model answers' });
  if (picked && (!picked.toFetch || (await install(picked.toFetch)))) {
    await settings.update('model', picked.model, vscode.ConfigurationTarget.Global);
  }
}

export async function installModel(): Promise<void> {
  const model = await pick((one) => !one.installed, 'Which model to fetch', 'all models are installed');
  if (model) {
    await install(model);
  }
}

export async function removeModel(): Promise<void> {
  const model = await pick((one) => one.installed !== null, 'Which model to remove', 'no model is installed');
  if (!model) {
    return;
  }
  const detail = `Its files in ${model.installed} are deleted.`;
  if ((await vscode.window.showWarningMessage(`Remove ${model.name}?`, { modal: true, detail }, 'Remove')) !== 'Remove') {
    return;
  }
  const settings = vscode.workspace.getConfiguration('unmask');
  if (settings.get('model') === model.name) {
    await settings.update('model', undefined, vscode.ConfigurationTarget.Global);
  }
  await work(`Removing ${model.name}`, ['models', 'remove', model.name, '--yes'], false);
}

async function pick(fits: (model: Model) => boolean, placeHolder: string, none: string): Promise<Model | undefined> {
  const models = (await listed())?.filter(fits);
  if (models?.length === 0) {
    void vscode.window.showInformationMessage(`unmask: ${none}`);
    return undefined;
  }
  const items = models?.map((model) => ({ label: model.name, description: describe(model), model })) ?? [];
  return items.length ? (await vscode.window.showQuickPick(items, { placeHolder }))?.model : undefined;
}

/** What can be had; says so and returns undefined where the program does not answer. */
async function listed(): Promise<Model[] | undefined> {
  const { printed, code } = await runCommand(['models', 'list', '--json']);
  if (code === 0) {
    return readModels(printed);
  }
  void vscode.window.showWarningMessage(`unmask: ${lastLine(printed)}`);
  return undefined;
}

/** Fetches a model once the person has agreed to its size and licence; false when it is not there then. */
async function install(model: Model): Promise<boolean> {
  const detail = [describe(model), model.warning, 'It is checked against its published hash, and stays on this machine.'];
  const question = `Fetch ${model.name}?`;
  const options = { modal: true, detail: detail.filter(Boolean).join('\n') };
  if ((await vscode.window.showInformationMessage(question, options, 'Fetch')) !== 'Fetch') {
    return false;
  }
  return work(`Fetching ${model.name}`, ['models', 'pull', model.name, '--yes'], true);
}

/** Runs a command with its progress shown, and says in one line how it ended. */
async function work(title: string, words: string[], cancellable: boolean): Promise<boolean> {
  const location = vscode.ProgressLocation.Notification;
  let isStopped = false;
  const { printed, code } = await vscode.window.withProgress({ location, title, cancellable }, (progress, stop) => {
    let reached = 0;
    stop.onCancellationRequested(() => (isStopped = true));
    return runCommand(words, (line) => {
      const share = shareOf(line);
      progress.report({ message: line, increment: share === undefined ? 0 : 100 * (share - reached) });
      reached = share ?? reached;
    }, stop);
  });
  if (code === 0) {
    sayInStatus(lastLine(printed));
  } else if (!isStopped) {
    void vscode.window.showWarningMessage(`unmask: ${lastLine(printed)}`);
  }
  return code === 0;
}

function lastLine(printed: string): string {
  return printed.trim().split('\n').at(-1) ?? '';
}
