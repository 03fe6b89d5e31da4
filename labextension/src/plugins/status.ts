import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { describeTotals } from '../format';
import { StatusItem } from '../statusItem';
import { TitleBadge } from '../titleBadge';
import { CommandIDs, IDownloads, IDownloadSettings } from '../tokens';

export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'bgdl-jupyter:status',
  description: 'Shows the downloads under way in the status bar.',
  autoStart: true,
  requires: [IDownloads],
  optional: [IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { model }: IDownloads,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('bgdl_jupyter');
    const item = new StatusItem({
      downloads: model,
      trans,
      onClick: () => void app.commands.execute(CommandIDs.show)
    });
    // Notebook 7 has none.
    statusBar?.registerStatusItem(statusPlugin.id, {
      item,
      align: 'right',
      rank: 5,
      isActive: () => describeTotals(model.totals, trans) !== '',
      activeStateChanged: model.changed
    });
  }
};

export const titlePlugin: JupyterFrontEndPlugin<void> = {
  id: 'bgdl-jupyter:title',
  description: 'Shows the number of running downloads in the title of the tab.',
  autoStart: true,
  requires: [IDownloads, IDownloadSettings],
  activate: (_, { model }: IDownloads, settings: IDownloadSettings) => {
    const badge = new TitleBadge();
    const show = (): void => badge.show(settings.choices.titleBadge ? model.totals.active : 0);
    model.changed.connect(show);
    settings.changed.connect(show);
  }
};
