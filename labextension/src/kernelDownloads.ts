/**
 * What the lab knows of the downloads of one kernel, filled by the kernel's messages alone.
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
  Totals
} from './protocol';

export const NOTHING: Totals = { active: 0, queued: 0, failed: 0, rate: 0, worst: 'ok' };

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

/** What decides where an operation's row stands. */
function placeOf(operation: OperationView): string {
  return `${stateOf(operation)}/${operation.position}/${operation.group}/${operation.name}`;
}
