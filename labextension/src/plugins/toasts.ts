import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { LabNotifier, StoredAlerts } from '../notifications';
import { Presenter } from '../presenter';
import { ActionKind, finishedPath, ISubject } from '../toasts';
import { CommandIDs, IDownloads, IDownloadSettings } from '../tokens';

/** JupyterLab's command that shows a file in its folder. */
const GO_TO_PATH = 'filebrowser:go-to-path';
/** Milliseconds between two texts of a notice: fewer than a second would be restless. */
const PERIOD = 1000;

export const toastsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'bgdl-jupyter:toasts',
  description: 'Tells the progress and the end of downloads in notifications.',
  autoStart: true,
  requires: [IDownloads, IDownloadSettings],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { model }: IDownloads,
    settings: IDownloadSettings,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('bgdl_jupyter');
    const canAct = (kind: ActionKind): boolean => kind !== 'open' || app.commands.hasCommand(GO_TO_PATH);
    const act = (kind: ActionKind, { kernelId, group }: ISubject): void => {
      const kernel = kernelId === null ? undefined : model.get(kernelId);
      switch (kind) {
        case 'panel':
          void app.commands.execute(CommandIDs.show);
          break;
        case 'open': {
          const path = kernel && finishedPath(kernel, group);
          if (path) {
            void app.commands.execute(GO_TO_PATH, { path });
          }
          break;
        }
        default:
          kernel?.send({ verb: kind, group: group ?? '' });
      }
    };
    const presenter = new Presenter({
      downloads: model,
      notifier: new LabNotifier({ trans, canAct, act }),
      shown: new StoredAlerts(window.localStorage),
      preferences: () => settings.choices,
      trans
    });
    let timer: number | null = null;
    const refresh = (): void => {
      timer = null;
      presenter.refresh();
      if (model.totals.active > 0 || presenter.isWaiting) {
        later();
      }
    };
    const later = (): void => {
      timer ??= window.setTimeout(refresh, PERIOD);
    };
    model.changed.connect(later);
    settings.changed.connect(later);
  }
};
