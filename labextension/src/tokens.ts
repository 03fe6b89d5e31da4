/**
 * What the plugins give each other.
 */

import type { ISessionContext } from '@jupyterlab/apputils';
import { Token } from '@lumino/coreutils';

import type { Downloads } from './model';
import type { Settings } from './settings';

/** The downloads of all running kernels, and what keeps them known. */
export interface IDownloads {
  readonly model: Downloads;
  /** Use the connection of a notebook or a console, as long as it is there. */
  watch(context: ISessionContext): void;
  /** Ask the kernels that had no downloads when they were last asked. */
  refresh(): void;
  /** Whether the kernel has the extension loaded. */
  hasDownloads(kernelId: string): Promise<boolean>;
}

export const IDownloads = new Token<IDownloads>(
  'bgdl-jupyter:IDownloads',
  'The background downloads of all running kernels.'
);

/** What the user chose. */
export type IDownloadSettings = Settings;

export const IDownloadSettings = new Token<IDownloadSettings>(
  'bgdl-jupyter:IDownloadSettings',
  'The settings of the background downloads.'
);

/** The commands; none takes an argument. */
export const CommandIDs = {
  show: 'bgdl:show',
  download: 'bgdl:download',
  downloadHere: 'bgdl:download-here',
  pauseAll: 'bgdl:pause-all',
  resumeAll: 'bgdl:resume-all',
  clear: 'bgdl:clear',
  restore: 'bgdl:restore',
  allowNotifications: 'bgdl:allow-browser-notifications'
} as const;
