/**
 * What the lab knows of the downloads of all kernels.
 */

import { ISignal, Signal } from '@lumino/signaling';

import { RateHistory } from './history';
import { KernelDownloads, NOTHING } from './kernelDownloads';
import type { AlertView, Totals, Worst } from './protocol';

const SEVERITY: Readonly<Record<Worst, number>> = { ok: 0, paused: 1, error: 2 };

/** The downloads of all kernels of the user, in the order in which the kernels were met. */
export class Downloads {
  constructor(private readonly _now: () => number = Date.now) {}

  /** The rates of all kernels together. */
  readonly history = new RateHistory();

  /** Emitted when anything changed; often, so listeners coalesce. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get alerted(): ISignal<this, KernelDownloads.IAlert> {
    return this._alerted;
  }

  /** Emitted with the id of each alert that its kernel takes back. */
  get withdrawn(): ISignal<this, string> {
    return this._withdrawn;
  }

  /** Emitted when a kernel has said what it has: at first, and after a restart again. */
  get kernelReady(): ISignal<this, KernelDownloads> {
    return this._kernelReady;
  }

  /** Emitted when the extension was unloaded in a kernel that lives on. */
  get unloaded(): ISignal<this, KernelDownloads> {
    return this._unloaded;
  }

  /** The kernels that have said what they have. */
  get kernels(): readonly KernelDownloads[] {
    return [...this._kernels.values()].filter(each => each.isReady);
  }

  get(kernelId: string): KernelDownloads | undefined {
    return this._kernels.get(kernelId);
  }

  /** Active, queued, failed and rate of all kernels together, and the worst state of any. */
  get totals(): Totals {
    return this.kernels.map(each => each.totals).reduce(sum, NOTHING);
  }

  add(kernel: KernelDownloads): void {
    this._kernels.set(kernel.kernelId, kernel);
    kernel.changed.connect(this._onChanged, this);
    kernel.alerted.connect(this._onAlerted, this);
    kernel.withdrawn.connect(this._onWithdrawn, this);
    kernel.unloaded.connect(this._onUnloaded, this);
  }

  remove(kernelId: string): void {
    const kernel = this._kernels.get(kernelId);
    if (kernel === undefined) {
      return;
    }
    this._kernels.delete(kernelId);
    this._readyKernels.delete(kernelId);
    kernel.changed.disconnect(this._onChanged, this);
    kernel.alerted.disconnect(this._onAlerted, this);
    kernel.withdrawn.disconnect(this._onWithdrawn, this);
    kernel.unloaded.disconnect(this._onUnloaded, this);
    this._changed.emit();
  }

  private _onChanged(kernel: KernelDownloads): void {
    this.history.add(this.totals.rate, this._now());
    this._changed.emit();
    if (!kernel.isReady) {
      this._readyKernels.delete(kernel.kernelId);
    } else if (!this._readyKernels.has(kernel.kernelId)) {
      this._readyKernels.add(kernel.kernelId);
      this._kernelReady.emit(kernel);
    }
  }

  private _onAlerted(kernel: KernelDownloads, alert: AlertView): void {
    this._alerted.emit({ kernel, alert });
  }

  private _onWithdrawn(_: KernelDownloads, alertId: string): void {
    this._withdrawn.emit(alertId);
  }

  private _onUnloaded(kernel: KernelDownloads): void {
    this._unloaded.emit(kernel);
  }

  private readonly _kernels = new Map<string, KernelDownloads>();
  private readonly _readyKernels = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _alerted = new Signal<this, KernelDownloads.IAlert>(this);
  private readonly _withdrawn = new Signal<this, string>(this);
  private readonly _unloaded = new Signal<this, KernelDownloads>(this);
  private readonly _kernelReady = new Signal<this, KernelDownloads>(this);
}

function sum(left: Totals, right: Totals): Totals {
  return {
    active: left.active + right.active,
    queued: left.queued + right.queued,
    failed: left.failed + right.failed,
    rate: left.rate + right.rate,
    worst: SEVERITY[left.worst] >= SEVERITY[right.worst] ? left.worst : right.worst
  };
}
