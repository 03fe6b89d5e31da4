/**
 * Which kernels have downloads, and the conversation with each.
 *
 * Knows kernels only through a `KernelSource`; `kernels.ts` makes one of JupyterLab's, the tests make one of values.
 */

import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { KernelDownloads } from './kernelDownloads';
import type { Downloads } from './model';
import { parseMessage } from './parsing';
import type { Command } from './protocol';

/** What happens on a line to a kernel. */
export type ChannelEvent =
  | { readonly type: 'open'; readonly commId: string }
  | { readonly type: 'message'; readonly commId: string; readonly data: unknown }
  | { readonly type: 'close'; readonly commId: string }
  | { readonly type: 'restarting' }
  | { readonly type: 'reconnected' };

/** Over what a command travels: the shell channel (a subshell, where the kernel has one) or the control channel. */
export type Route = 'shell' | 'control';

/** A line to one kernel. */
export interface Channel extends IDisposable {
  readonly event: ISignal<Channel, ChannelEvent>;
  /** The route that is answered while a cell runs. */
  route(): Promise<Route>;
  /** The ids of the kernel's open comms of our target, the newest last. */
  findComms(): Promise<string[]>;
  send(commId: string, command: Command, route: Route, subshell: string | null): void;
}

/** A running kernel. */
export interface KernelRecord {
  readonly id: string;
  readonly label: string;
  /** Whether this page holds a notebook or console of the kernel. */
  readonly isOpenHere: boolean;
}

/** The running kernels of the user. */
export interface KernelSource extends IDisposable {
  readonly kernels: readonly KernelRecord[];
  readonly changed: ISignal<KernelSource, void>;
  connect(kernelId: string): Channel;
}

/** How long a kernel may leave a subscription unanswered before it is sent on the other route, in milliseconds. */
const PATIENCE = 3000;
const MAX_SUBSCRIPTIONS = 4;

/** Keeps a link to every running kernel and feeds the model. */
export class Connections implements IDisposable {
  constructor(
    private readonly _source: KernelSource,
    private readonly _downloads: Downloads
  ) {
    _source.changed.connect(this._update, this);
    this._update();
  }

  /** Messages that were no messages of ours. */
  get refused(): number {
    return [...this._links.values()].reduce((total, link) => total + link.refused, this._refusedBefore);
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Ask the kernels that had no downloads when they were last asked. */
  refresh(): void {
    this._links.forEach(each => void each.ask());
  }

  /** Whether the kernel has the extension loaded; false too for a kernel that is gone. */
  async hasDownloads(kernelId: string): Promise<boolean> {
    return (await this._links.get(kernelId)?.ask()) ?? false;
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    Signal.clearData(this);
    this._source.changed.disconnect(this._update, this);
    [...this._links.keys()].forEach(each => this._drop(each));
    this._source.dispose();
  }

  private _update(): void {
    const records = new Map(this._source.kernels.map(each => [each.id, each]));
    [...this._links.keys()].filter(each => !records.has(each)).forEach(each => this._drop(each));
    records.forEach(record => {
      const link = this._links.get(record.id);
      if (link === undefined) {
        this._links.set(record.id, new KernelLink(record, this._source, this._downloads));
      } else {
        link.update(record);
      }
    });
  }

  private _drop(kernelId: string): void {
    const link = this._links.get(kernelId);
    this._links.delete(kernelId);
    this._refusedBefore += link?.refused ?? 0;
    link?.dispose();
  }

  private readonly _links = new Map<string, KernelLink>();
  private _refusedBefore = 0;
  private _disposed = false;
}

/**
 * The conversation with one kernel.
 *
 * A kernel that is not open in this page is let go of when it has nothing to do, so that the server may cull it; its
 * downloads stay on show, and a command connects again.
 */
class KernelLink implements IDisposable {
  constructor(
    private _record: KernelRecord,
    private readonly _source: KernelSource,
    private readonly _downloads: Downloads
  ) {
    this._store = new KernelDownloads({
      kernelId: _record.id,
      label: _record.label,
      send: command => void this._command(command)
    });
    _downloads.add(this._store);
    void this.ask();
  }

  /** Messages that were no messages of ours. */
  get refused(): number {
    return this._refused;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  update(record: KernelRecord): void {
    const moved = record.isOpenHere !== this._record.isOpenHere;
    this._record = record;
    this._store.label = record.label;
    if (moved) {
      this._hangUp();
      void this.ask();
    }
  }

  /** Look for the kernel's comm and subscribe to it; whether there is one. */
  async ask(): Promise<boolean> {
    if (this._disposed) {
      return false;
    }
    if (this._commId !== null && this._channel !== null) {
      return true;
    }
    if (this._asking === null) {
      const asking = this._ask().finally(() => {
        if (this._asking === asking) {
          this._asking = null;
        }
      });
      this._asking = asking;
    }
    return this._asking;
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this._hangUp();
    this._downloads.remove(this._record.id);
  }

  private async _ask(): Promise<boolean> {
    const channel = this._connected();
    const commIds = await channel.findComms();
    if (this._disposed || channel !== this._channel) {
      return false;
    }
    const newest = commIds[commIds.length - 1];
    if (this._commId === null && newest !== undefined) {
      this._adopt(newest);
    }
    if (this._commId === null && !this._record.isOpenHere) {
      this._hangUp();
    }
    return this._commId !== null;
  }

  private _connected(): Channel {
    if (this._channel === null) {
      this._channel = this._source.connect(this._record.id);
      this._channel.event.connect(this._onEvent, this);
    }
    return this._channel;
  }

  private _hangUp(): void {
    this._stopWaiting();
    // An answer that comes over the old line says nothing of the next one.
    this._asking = null;
    this._commId = null;
    this._channel?.event.disconnect(this._onEvent, this);
    this._channel?.dispose();
    this._channel = null;
  }

  private _adopt(commId: string): void {
    this._commId = commId;
    this._subscriptions = 0;
    void this._subscribe();
  }

  private async _subscribe(): Promise<void> {
    const channel = this._channel;
    const commId = this._commId;
    if (channel === null || commId === null) {
      return;
    }
    this._stopWaiting();
    this._route = await channel.route();
    if (channel !== this._channel || commId !== this._commId) {
      return;
    }
    const other: Route = this._route === 'shell' ? 'control' : 'shell';
    const route = this._subscriptions % 2 === 0 ? this._route : other;
    this._subscriptions += 1;
    channel.send(commId, { verb: 'subscribe' }, route, this._store.subshell);
    if (this._subscriptions < MAX_SUBSCRIPTIONS) {
      this._waiting = setTimeout(() => void this._subscribe(), PATIENCE);
    }
  }

  private _stopWaiting(): void {
    if (this._waiting !== null) {
      clearTimeout(this._waiting);
      this._waiting = null;
    }
  }

  private async _command(command: Command): Promise<void> {
    if ((await this.ask()) && this._channel !== null && this._commId !== null) {
      this._channel.send(this._commId, command, this._route, this._store.subshell);
    }
  }

  private _onEvent(_: Channel, event: ChannelEvent): void {
    switch (event.type) {
      case 'open':
        this._adopt(event.commId);
        break;
      case 'message':
        if (event.commId === this._commId) {
          this._receive(event.data);
        }
        break;
      case 'close':
        if (event.commId === this._commId) {
          this._forget('extension');
        }
        break;
      case 'restarting':
        this._forget('kernel');
        break;
      case 'reconnected':
        // What was said meanwhile is lost.
        this._commId = null;
        void this.ask();
        break;
    }
  }

  private _receive(data: unknown): void {
    const message = parseMessage(data);
    if (message === null) {
      this._refused += 1;
      if (this._refused === 1) {
        console.warn('bgdl-jupyter: a kernel sent what is not a message of this version; it is ignored.');
      }
      return;
    }
    this._stopWaiting();
    this._store.apply(message);
    const { active, queued } = this._store.totals;
    if (this._store.isReady && active + queued === 0 && !this._record.isOpenHere) {
      this._hangUp();
    }
  }

  private _forget(gone: 'kernel' | 'extension'): void {
    this._stopWaiting();
    this._commId = null;
    this._store.reset(gone);
  }

  private readonly _store: KernelDownloads;
  private _channel: Channel | null = null;
  private _commId: string | null = null;
  private _asking: Promise<boolean> | null = null;
  private _route: Route = 'shell';
  private _subscriptions = 0;
  private _waiting: ReturnType<typeof setTimeout> | null = null;
  private _refused = 0;
  private _disposed = false;
}
