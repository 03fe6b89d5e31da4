import { ILabShell, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IConsoleTracker } from '@jupyterlab/console';
import { INotebookTracker } from '@jupyterlab/notebook';

import { Connections } from '../connection';
import { JupyterKernels } from '../kernels';
import { Downloads } from '../model';
import { IDownloads } from '../tokens';

export const downloadsPlugin: JupyterFrontEndPlugin<IDownloads> = {
  id: 'bgdl-jupyter:downloads',
  description: 'Knows the background downloads of all running kernels.',
  autoStart: true,
  provides: IDownloads,
  optional: [ILabShell, INotebookTracker, IConsoleTracker],
  activate: (
    app,
    labShell: ILabShell | null,
    notebooks: INotebookTracker | null,
    consoles: IConsoleTracker | null
  ): IDownloads => {
    const model = new Downloads();
    // Notebook 7 has a page for each notebook: were each to show all kernels, every alert would come many times.
    const kernels = new JupyterKernels(app.serviceManager, labShell === null ? null : app.restored);
    const connections = new Connections(kernels, model);
    notebooks?.widgetAdded.connect((_, panel) => kernels.watch(panel.sessionContext));
    notebooks?.forEach(panel => kernels.watch(panel.sessionContext));
    consoles?.widgetAdded.connect((_, panel) => kernels.watch(panel.sessionContext));
    consoles?.forEach(panel => kernels.watch(panel.sessionContext));
    return {
      model,
      watch: context => kernels.watch(context),
      refresh: () => connections.refresh(),
      hasDownloads: kernelId => connections.hasDownloads(kernelId)
    };
  }
};
