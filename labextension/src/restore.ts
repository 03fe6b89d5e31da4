/**
 * After a kernel started anew: the extension is loaded again where it was loaded before, and saved outputs come alive.
 */

import type { ISessionContext } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage, Session } from '@jupyterlab/services';

import type { Translations } from './format';
import { markStale, openedWidget, revive, shows } from './outputs';
import type { RememberedNotebooks } from './remembered';
import type { IDownloads } from './tokens';

/** How long after the last of our widgets outputs are drawn anew: the models come a moment after them, in milliseconds. */
const SETTLING = 250;

/** How long a kernel that closed its comm may take to go away, in milliseconds. */
const PARTING = 5000;

/** The kernel is not there any more, and with it what heard the buttons. */
const GONE: ReadonlySet<Kernel.Status> = new Set(['restarting', 'autorestarting', 'terminating', 'dead']);

/** Silent: it leaves no trace in the notebook, its history or its counters. */
export const LOAD = '%load_ext bgdl_jupyter';

/** Looks after one open notebook. */
export class NotebookRestorer {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _options: NotebookRestorer.IOptions
  ) {
    const context = _panel.sessionContext;
    context.kernelChanged.connect(this._onKernelChanged, this);
    context.statusChanged.connect(this._onStatus, this);
    context.iopubMessage.connect(this._onMessage, this);
    _panel.context.pathChanged.connect(this._onPathChanged, this);
    const { model } = _options.downloads;
    model.kernelReady.connect(this._onReady, this);
    model.unloaded.connect(this._onUnloaded, this);
    _panel.disposed.connect(() => {
      model.kernelReady.disconnect(this._onReady, this);
      model.unloaded.disconnect(this._onUnloaded, this);
      clearTimeout(this._timer);
    });
    if (context.session?.kernel) {
      void this._meet(context.session.kernel);
    }
  }

  private get _path(): string {
    return this._panel.context.path;
  }

  private _onKernelChanged(_: ISessionContext, change: Session.ISessionConnection.IKernelChangedArgs): void {
    if (change.oldValue !== null && change.oldValue.id !== change.newValue?.id) {
      this._markStale();
    }
    if (change.newValue !== null) {
      void this._meet(change.newValue);
    }
  }

  private _onStatus(context: ISessionContext, status: Kernel.Status): void {
    const kernel = context.session?.kernel;
    if (GONE.has(status)) {
      this._markStale();
    }
    if (status === 'restarting' || status === 'autorestarting') {
      this._mayLoad = true;
    } else if (this._mayLoad && kernel && (status === 'idle' || status === 'busy')) {
      void this._meet(kernel);
    }
  }

  private _markStale(): void {
    markStale(this._panel, this._options.trans.__('The kernel that downloaded this has ended.'));
  }

  private _onPathChanged(): void {
    this._options.remembered.rename(this._lastPath, this._path);
    this._lastPath = this._path;
  }

  /** The extension was unloaded, unless the kernel is about to go. */
  private _onUnloaded(_: unknown, unloaded: { kernelId: string }): void {
    const kernel = this._panel.sessionContext.session?.kernel;
    if (kernel?.id !== unloaded.kernelId) {
      return;
    }
    setTimeout(() => {
      const isAlive = !kernel.isDisposed && ['idle', 'busy'].includes(kernel.status);
      if (isAlive && !this._mayLoad && !this._options.downloads.model.get(kernel.id)?.isReady) {
        this._options.remembered.forget(this._path);
      }
    }, PARTING);
  }

  private async _meet(kernel: Kernel.IKernelConnection): Promise<void> {
    this._mayLoad = false;
    await this._options.remembered.ready;
    if (!this._options.isWanted() || !this._options.remembered.has(this._path)) {
      return;
    }
    if (!(await this._options.downloads.hasDownloads(kernel.id)) && !kernel.isDisposed) {
      await load(kernel);
    }
  }

  private _onReady(_: unknown, ready: { kernelId: string }): void {
    if (ready.kernelId !== this._panel.sessionContext.session?.kernel?.id) {
      return;
    }
    this._options.remembered.add(this._path);
  }

  /** Have an output drawn anew when the kernel makes its widget, which is made before its first output: it made it again. */
  private _onMessage(_: ISessionContext, message: KernelMessage.IMessage): void {
    const opened = openedWidget(message);
    if (opened !== null && shows(this._panel, opened)) {
      this._reborn.add(opened);
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this._revive(), SETTLING);
    }
  }

  private _revive(): void {
    revive(this._panel, this._reborn);
    this._reborn.clear();
  }

  private _lastPath = this._path;
  /** Widgets that the kernel made again, and whose outputs show those of the kernel before it. */
  private readonly _reborn = new Set<string>();
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _mayLoad = false;
}

export namespace NotebookRestorer {
  export interface IOptions {
    readonly downloads: IDownloads;
    readonly remembered: RememberedNotebooks;
    readonly isWanted: () => boolean;
    readonly trans: Translations;
  }
}

/** Load the extension in a kernel without a trace. A kernel without the package refuses, which is no news. */
export async function load(kernel: Kernel.IKernelConnection): Promise<void> {
  try {
    await kernel.requestExecute({ code: LOAD, silent: true, store_history: false, stop_on_error: false }).done;
  } catch (error) {
    console.debug('bgdl-jupyter: the kernel went away while the extension was loaded.', error);
  }
}
