import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { Settings } from '../settings';
import { IDownloadSettings } from '../tokens';

export const settingsPlugin: JupyterFrontEndPlugin<IDownloadSettings> = {
  id: 'bgdl-jupyter:settings',
  description: 'The settings of background downloads.',
  autoStart: true,
  provides: IDownloadSettings,
  optional: [ISettingRegistry],
  activate: (_, registry: ISettingRegistry | null) => {
    const settings = new Settings();
    registry?.load(settingsPlugin.id).then(
      loaded => settings.follow(loaded),
      (error: unknown) => console.warn('bgdl-jupyter: the settings could not be read; the defaults hold.', error)
    );
    return settings;
  }
};
