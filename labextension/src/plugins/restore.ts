import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { RememberedNotebooks } from '../remembered';
import { NotebookRestorer } from '../restore';
import { IDownloads, IDownloadSettings } from '../tokens';

export const restorePlugin: JupyterFrontEndPlugin<void> = {
  id: 'bgdl-jupyter:restore',
  description: 'Loads the extension again after a kernel started anew, and revives saved outputs.',
  autoStart: true,
  requires: [IDownloads, IDownloadSettings, INotebookTracker],
  optional: [IStateDB, ITranslator],
  activate: (
    _,
    downloads: IDownloads,
    settings: IDownloadSettings,
    notebooks: INotebookTracker,
    state: IStateDB | null,
    translator: ITranslator | null
  ) => {
    const options = {
      downloads,
      remembered: new RememberedNotebooks(state),
      isWanted: () => settings.choices.restoreAfterRestart,
      trans: (translator ?? nullTranslator).load('bgdl_jupyter')
    };
    notebooks.widgetAdded.connect((_, panel) => new NotebookRestorer(panel, options));
    notebooks.forEach(panel => new NotebookRestorer(panel, options));
  }
};
