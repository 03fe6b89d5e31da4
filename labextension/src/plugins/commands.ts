import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification as LabNotification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IConsoleTracker } from '@jupyterlab/console';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addIcon, clearIcon, refreshIcon, runIcon } from '@jupyterlab/ui-components';

import { askForDownload } from '../downloadDialog';
import type { Translations } from '../format';
import { pauseIcon } from '../icons';
import type { Downloads } from '../model';
import { askToTell } from '../notifications';
import type { Step } from '../protocol';
import { load } from '../restore';
import { CommandIDs, IDownloads, IDownloadSettings } from '../tokens';

export const commandsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'bgdl-jupyter:commands',
  description: 'Adds the commands of background downloads.',
  autoStart: true,
  requires: [IDownloads, IDownloadSettings],
  optional: [INotebookTracker, IConsoleTracker, IDefaultFileBrowser, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    downloads: IDownloads,
    settings: IDownloadSettings,
    notebooks: INotebookTracker | null,
    consoles: IConsoleTracker | null,
    browser: IDefaultFileBrowser | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('bgdl_jupyter');
    const { commands } = app;
    const { model } = downloads;
    addStep(app, model, 'pause', {
      id: CommandIDs.pauseAll,
      label: trans.__('Pause All Downloads'),
      icon: pauseIcon
    });
    addStep(app, model, 'resume', {
      id: CommandIDs.resumeAll,
      label: trans.__('Resume All Downloads'),
      icon: runIcon
    });
    addStep(app, model, 'clear', {
      id: CommandIDs.clear,
      label: trans.__('Clear Downloads That Are Over'),
      icon: clearIcon
    });
    const start = new Start({ app, downloads, notebooks, consoles, trans });
    commands.addCommand(CommandIDs.download, {
      label: trans.__('Download URL…'),
      caption: trans.__('Run a %bgdl line in the notebook, or in a new console'),
      icon: addIcon,
      execute: () => start.ask(null)
    });
    commands.addCommand(CommandIDs.downloadHere, {
      label: trans.__('Download URL Here…'),
      caption: trans.__('Run a %bgdl line that downloads into this folder'),
      icon: addIcon,
      isVisible: () => browser !== null,
      execute: () => start.ask(browser?.model.path ?? '')
    });
    commands.addCommand(CommandIDs.restore, {
      label: trans.__('Restore the Downloads of This Notebook'),
      caption: trans.__('Load the extension in the kernel of the notebook'),
      icon: refreshIcon,
      isEnabled: () => Boolean(notebooks?.currentWidget?.sessionContext.session?.kernel),
      execute: async () => {
        const kernel = notebooks?.currentWidget?.sessionContext.session?.kernel;
        if (kernel) {
          await restore(kernel, downloads);
        }
      }
    });
    commands.addCommand(CommandIDs.allowNotifications, {
      label: trans.__('Allow Browser Notifications for Downloads'),
      isToggled: () => settings.choices.browserNotifications,
      execute: () => toggleNotifications(settings, trans)
    });
    const category = trans.__('Downloads');
    const { show, downloadHere, ...others } = CommandIDs;
    Object.values(others).forEach(command => palette?.addItem({ command, category }));
  }
};

function addStep(
  app: JupyterFrontEnd,
  model: Downloads,
  verb: Step,
  options: { id: string; label: string; icon: typeof pauseIcon }
): void {
  const { id, ...look } = options;
  const allowed = (): (() => void)[] =>
    model.kernels.flatMap(kernel =>
      [...kernel.groups.values()]
        .filter(group => group.allowed.includes(verb))
        .map(group => () => kernel.send({ verb, group: group.name }))
    );
  app.commands.addCommand(id, {
    ...look,
    isEnabled: () => allowed().length > 0,
    execute: () => allowed().forEach(send => send())
  });
}

async function restore(kernel: Kernel.IKernelConnection, downloads: IDownloads): Promise<void> {
  if (await downloads.hasDownloads(kernel.id)) {
    downloads.model.get(kernel.id)?.send({ verb: 'restore' });
  } else {
    await load(kernel);
  }
}

async function toggleNotifications(settings: IDownloadSettings, trans: Translations): Promise<void> {
  const wanted = !settings.choices.browserNotifications;
  const allowed = wanted && (await askToTell());
  await settings.set('browserNotifications', allowed);
  if (wanted && !allowed) {
    LabNotification.warning(
      trans.__('The browser does not allow notifications for this page. Its settings for the site can change that.'),
      { autoClose: 8000 }
    );
  }
}

interface IStartOptions {
  readonly app: JupyterFrontEnd;
  readonly downloads: IDownloads;
  readonly notebooks: INotebookTracker | null;
  readonly consoles: IConsoleTracker | null;
  readonly trans: Translations;
}

/** Runs a visible line in the notebook in front, or in a new console where there is none. */
class Start {
  constructor(private readonly _options: IStartOptions) {}

  /** Ask what to download, into a folder of the file browser if one is given. */
  async ask(folder: string | null): Promise<void> {
    const panel = this._notebook();
    const kernel = panel?.sessionContext.session?.kernel ?? null;
    const { trans } = this._options;
    const code = await askForDownload({
      trans,
      place: panel
        ? trans.__('A line is added to %1 and run.', panel.title.label)
        : trans.__('A line is run in a new console.'),
      isBusy: panel !== null && isComputing(panel),
      destination: folder === null || panel === null ? '' : from(PathExt.dirname(panel.context.path), folder),
      loadExtension: kernel === null || !this._options.downloads.model.get(kernel.id)?.isReady
    });
    if (code === null) {
      return;
    }
    await (panel ? runInNotebook(panel, code) : this._runInConsole(code, folder));
  }

  private _notebook(): NotebookPanel | null {
    const panel = this._options.notebooks?.currentWidget ?? null;
    return panel?.sessionContext.session?.kernel ? panel : null;
  }

  private async _runInConsole(code: string, folder: string | null): Promise<void> {
    const { app, consoles } = this._options;
    const specs = app.serviceManager.kernelspecs.specs;
    const python = Object.values(specs?.kernelspecs ?? {}).find(each => each?.language.toLowerCase() === 'python');
    const opened: unknown = await app.commands.execute('console:create', {
      activate: true,
      ...(folder === null ? {} : { cwd: folder }),
      ...(python ? { kernelPreference: { name: python.name } } : {})
    });
    const panel = consoles?.find(each => each === opened);
    await panel?.sessionContext.ready;
    await panel?.console.inject(code);
  }
}

/** Whether a cell runs or waits. The status of the kernel is that of its last message, comms among them. */
function isComputing(panel: NotebookPanel): boolean {
  return panel.content.widgets.some(cell => cell.promptNode?.textContent?.includes('*'));
}

async function runInNotebook(panel: NotebookPanel, code: string): Promise<void> {
  const notebook = panel.content;
  NotebookActions.insertBelow(notebook);
  notebook.activeCell?.model.sharedModel.setSource(code);
  await NotebookActions.run(notebook, panel.sessionContext);
}

/** Return the way from the folder of a notebook, which is its kernel's, to another folder. */
function from(notebookFolder: string, folder: string): string {
  const way = PathExt.relative(`/${notebookFolder}`, `/${folder}`);
  return way === '' ? '' : `${way}/`;
}
