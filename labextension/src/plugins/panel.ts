import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { downloadsIcon } from '../icons';
import { DownloadsPanel } from '../panel';
import { CommandIDs, IDownloads } from '../tokens';

export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'bgdl-jupyter:panel',
  description: 'Adds the side panel with the downloads of all running kernels.',
  autoStart: true,
  requires: [IDownloads],
  optional: [ILayoutRestorer, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    downloads: IDownloads,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('bgdl_jupyter');
    const panel = new DownloadsPanel({
      downloads: downloads.model,
      trans,
      commands: app.commands,
      toolbar: [
        { id: CommandIDs.download, label: trans.__('Add') },
        { id: CommandIDs.pauseAll, label: trans.__('Pause') },
        { id: CommandIDs.resumeAll, label: trans.__('Resume') },
        { id: CommandIDs.clear, label: trans.__('Clear') }
      ],
      onShow: () => downloads.refresh()
    });
    app.shell.add(panel, 'left', { rank: 850, type: 'Downloads' });
    restorer?.add(panel, panel.id);

    app.commands.addCommand(CommandIDs.show, {
      label: trans.__('Show Downloads'),
      caption: trans.__('Show the background downloads of all running kernels'),
      icon: downloadsIcon,
      execute: () => app.shell.activateById(panel.id)
    });
    palette?.addItem({ command: CommandIDs.show, category: trans.__('Downloads') });
  }
};
