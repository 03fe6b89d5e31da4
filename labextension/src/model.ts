/**
 * What the lab knows of the downloads: one store per kernel, filled by the kernel's messages alone, and all of them.
 */

import { ISignal, Signal } from '@lumino/signaling';

import { stateOf } from './format';
import { RateHistory } from './history';
import type {
  AlertView,
  Changed,
  Command,
  GroupView,
  KernelMessage,
  OperationView,
  Removed,
  Snapshot,
  Totals,
  Worst
} from './protocol';

const NOTHING: Totals = { active: 0, queued: 0, failed: 0, rate: 0, worst: 'ok' };
const SEVERITY: Readonly<Record<Worst, number>> = { ok: 0, paused: 1, error: 2 };

/** The parts of a snapshot so far, and what was said after its first. */
interface IStaged {
  readonly parts: Snapshot[];
  readonly changed: (Changed | Removed)[];
}

/** The downloads of one kernel. */
export class KernelDownloads {
  constructor(options: KernelDownloads.IOptions) {
    this.kernelId = options.kernelId;
    this.label = options.label;
    this._send = options.send;
    this._now = options.now ?? Date.now;
  }

  readonly kernelId: string;
  /** The name of the notebook or console. */
  label: string;

  /** Emitted after each message that was taken in. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when the kernel lives on and the extension was unloaded. */
  get unloaded(): ISignal<this, void> {
    return this._unloaded;
  }

  /** Emitted for each alert that the kernel names for the first time since it was connected. */
  get alerted(): ISignal<this, AlertView> {
    return this._alerted;
  }

  /** Emitted with the id of each alert that the kernel takes back: dismissed, over, or replaced by a later one. */
  get withdrawn(): ISignal<this, string> {
    return this._withdrawn;
  }

  /** Whether the kernel has said what it has. */
  get isReady(): boolean {
    return this._ready;
  }

  get application(): string {
    return this._application;
  }

  /** The subshell that takes commands while a cell runs. */
  get subshell(): string | null {
    return this._subshell;
  }

  /** Whether the application wants toasts. */
  get wantsToasts(): boolean {
    return this._wantsToasts;
  }

  get operations(): ReadonlyMap<string, OperationView> {
    return this._operations;
  }

  get groups(): ReadonlyMap<string, GroupView> {
    return this._groups;
  }

  get alerts(): ReadonlyMap<string, AlertView> {
    return this._alerts;
  }

  get totals(): Totals {
    return this._totals;
  }

  /** Rises when rows appear, disappear or change their place, not when numbers move. */
  get orderRevision(): number {
    return this._orderRevision;
  }

  groupHistory(name: string): readonly number[] {
    return this._groupHistories.get(name)?.samples ?? [];
  }

  /** Take in what the kernel said. What comes before its first snapshot is complete says nothing to us. */
  apply(message: KernelMessage): void {
    switch (message.type) {
      case 'snapshot':
        this._stage(message);
        break;
      case 'changed':
        // A snapshot on its way may be older than this.
        this._staged?.changed.push(message);
        this._change(message);
        break;
      case 'removed':
        this._staged?.changed.push(message);
        this._remove(message);
        break;
    }
    if (this._ready) {
      this._changed.emit();
    }
  }

  /** Forget everything: what said it is gone, the kernel or only the extension in it. */
  reset(gone: 'kernel' | 'extension'): void {
    this._replace([], [], []);
    this._ready = false;
    this._staged = null;
    this._totals = NOTHING;
    this._subshell = null;
    this._changed.emit();
    if (gone === 'extension') {
      this._unloaded.emit();
    }
  }

  /** Ask the kernel for a step. What comes of it arrives as a message. */
  send(command: Command): void {
    this._send(command);
  }

  /** Gather the parts of a snapshot, so that a view never sees half of one. */
  private _stage(snapshot: Snapshot): void {
    if (snapshot.part === 1) {
      this._staged = { parts: [], changed: [] };
    }
    const staged = this._staged;
    if (staged === null || staged.parts.length !== snapshot.part - 1) {
      this._staged = null;
      return;
    }
    staged.parts.push(snapshot);
    if (snapshot.part === snapshot.parts) {
      this._staged = null;
      this._begin(snapshot, staged);
    }
  }

  private _begin(last: Snapshot, staged: IStaged): void {
    this._application = last.application;
    this._subshell = last.kernel.subshell;
    this._wantsToasts = last.settings.toasts;
    this._totals = last.totals;
    this._ready = true;
    const { parts } = staged;
    this._replace(
      parts.flatMap(each => each.operations),
      parts.flatMap(each => each.groups),
      parts.flatMap(each => each.alerts)
    );
    staged.changed.forEach(each => (each.type === 'changed' ? this._change(each) : this._remove(each)));
  }

  private _replace(
    operations: readonly OperationView[],
    groups: readonly GroupView[],
    alerts: readonly AlertView[]
  ): void {
    const known = new Set(this._alerts.keys());
    this._operations.clear();
    this._groups.clear();
    this._alerts.clear();
    this._orderRevision += 1;
    operations.forEach(each => this._setOperation(each));
    groups.forEach(each => this._setGroup(each));
    alerts.forEach(each => this._setAlert(each, !known.has(each.id)));
  }

  private _change(message: Changed): void {
    if (!this._ready) {
      return;
    }
    message.operations.forEach(each => this._setOperation(each));
    message.groups.forEach(each => this._setGroup(each));
    this._totals = message.totals;
    message.alerts.forEach(each => this._setAlert(each, !this._alerts.has(each.id)));
  }

  private _setOperation(operation: OperationView): void {
    const before = this._operations.get(operation.id);
    if (before === undefined || placeOf(before) !== placeOf(operation)) {
      this._orderRevision += 1;
    }
    this._operations.set(operation.id, operation);
  }

  private _setGroup(group: GroupView): void {
    if (!this._groups.has(group.name)) {
      this._orderRevision += 1;
    }
    this._groups.set(group.name, group);
    let history = this._groupHistories.get(group.name);
    if (history === undefined) {
      history = new RateHistory();
      this._groupHistories.set(group.name, history);
    }
    history.add(group.rate, this._now());
  }

  private _setAlert(alert: AlertView, isNew: boolean): void {
    this._alerts.set(alert.id, alert);
    if (isNew) {
      this._alerted.emit(alert);
    }
  }

  private _remove(message: Removed): void {
    message.operations.forEach(each => this._operations.delete(each));
    message.groups.forEach(each => this._groups.delete(each) && this._groupHistories.delete(each));
    message.alerts.forEach(each => this._alerts.delete(each) && this._withdrawn.emit(each));
    this._orderRevision += 1;
  }

  private readonly _send: (command: Command) => void;
  private readonly _now: () => number;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _alerted = new Signal<this, AlertView>(this);
  private readonly _withdrawn = new Signal<this, string>(this);
  private readonly _unloaded = new Signal<this, void>(this);
  private readonly _operations = new Map<string, OperationView>();
  private readonly _groups = new Map<string, GroupView>();
  private readonly _groupHistories = new Map<string, RateHistory>();
  private readonly _alerts = new Map<string, AlertView>();
  private _staged: IStaged | null = null;
  private _totals = NOTHING;
  private _application = '';
  private _subshell: string | null = null;
  private _wantsToasts = true;
  private _ready = false;
  private _orderRevision = 0;
}

export namespace KernelDownloads {
  export interface IOptions {
    kernelId: string;
    label: string;
    send: (command: Command) => void;
    /** Milliseconds; for tests. */
    now?: () => number;
  }

  export interface IAlert {
    readonly kernel: KernelDownloads;
    readonly alert: AlertView;
  }
}

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

/** What decides where an operation's row stands. */
function placeOf(operation: OperationView): string {
  return `${stateOf(operation)}/${operation.position}/${operation.group}/${operation.name}`;
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
