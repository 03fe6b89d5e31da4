/**
 * After a kernel started anew: the extension is loaded again where it was loaded before, and saved outputs come alive.
 */

import type { ISessionContext } from '@jupyterlab/apputils';
import type { ICodeCellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Kernel, KernelMessage } from '@jupyterlab/services';

import type { RememberedNotebooks } from './remembered';
import type { IDownloads } from './tokens';

const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';
const WIDGET_TARGET = 'jupyter.widget';
/** The package gives the widgets that it can make again ids with this beginning. */
const OUR_MODELS = 'bgdl-';

/** How long after the last of our widgets outputs are drawn anew: the models come a moment after them, in milliseconds. */
const SETTLING = 250;

/** How long a kernel that closed its comm may take to go away, in milliseconds. */
const PARTING = 5000;

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

  private _onKernelChanged(_: ISessionContext, change: { newValue: Kernel.IKernelConnection | null }): void {
    if (change.newValue !== null) {
      void this._meet(change.newValue);
    }
  }

  private _onStatus(context: ISessionContext, status: Kernel.Status): void {
    const kernel = context.session?.kernel;
    if (status === 'restarting' || status === 'autorestarting') {
      this._mayLoad = true;
    } else if (this._mayLoad && kernel && (status === 'idle' || status === 'busy')) {
      void this._meet(kernel);
    }
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
    if (opened !== null && outputsOf(this._panel).some(each => each.modelId === opened)) {
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

/** Set outputs again, so that they are drawn with the models of the new kernel. */
export function revive(panel: NotebookPanel, modelIds: ReadonlySet<string>): void {
  const notebook = panel.content.model;
  if (notebook === null) {
    return;
  }
  const { dirty } = notebook;
  outputsOf(panel)
    .filter(each => modelIds.has(each.modelId))
    .forEach(({ outputs, index }) => outputs.set(index, outputs.get(index).toJSON()));
  // What is drawn anew is what was saved.
  notebook.dirty = dirty;
}

interface IOurOutput {
  readonly outputs: ICodeCellModel['outputs'];
  readonly index: number;
  readonly modelId: string;
}

/** Return the outputs that show our widgets. */
function outputsOf(panel: NotebookPanel): IOurOutput[] {
  const found: IOurOutput[] = [];
  for (const cell of panel.content.model?.cells ?? []) {
    // Only code cells have outputs.
    const { outputs } = cell as Partial<ICodeCellModel>;
    for (let index = 0; outputs && index < outputs.length; index += 1) {
      const modelId = ourModel(outputs.get(index).toJSON());
      if (modelId !== null) {
        found.push({ outputs, index, modelId });
      }
    }
  }
  return found;
}

/** Return the id of the widget that an output shows, if it is one that the package made. */
export function ourModel(output: unknown): string | null {
  const view = (output as { data?: Readonly<Record<string, unknown>> }).data?.[WIDGET_VIEW];
  return ours((view as { model_id?: unknown } | undefined)?.model_id);
}

function openedWidget(message: KernelMessage.IMessage): string | null {
  if (!KernelMessage.isCommOpenMsg(message) || message.content.target_name !== WIDGET_TARGET) {
    return null;
  }
  return ours(message.content.comm_id);
}

function ours(modelId: unknown): string | null {
  return typeof modelId === 'string' && modelId.startsWith(OUR_MODELS) ? modelId : null;
}
