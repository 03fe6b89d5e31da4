/**
 * JupyterLab's kernels as a `KernelSource`.
 *
 * A kernel that this page shows is talked to over the connection that is there; any other over one of our own, which
 * leaves comms alone: a connection that handles comms closes those whose target it does not know, other people's
 * widgets among them. So we read comm messages as they pass, on both kinds.
 */

import type { ISessionContext } from '@jupyterlab/apputils';
import { Kernel, KernelMessage, ServiceManager, Session } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import type { Channel, ChannelEvent, KernelRecord, KernelSource, Route } from './connection';
import { Command, COMM_TARGET } from './protocol';

/** How long the control channel may take to list the comms before the shell channel is asked too, in milliseconds. */
const PATIENCE = 3000;
/** How long a change of the running kernels waits for others, in milliseconds. */
const SETTLING = 1000;

/** The running Python kernels of the user. */
export class JupyterKernels implements KernelSource {
  /** With `others`, the kernels that this page does not show are listed as well, from when it resolves. */
  constructor(
    private readonly _services: ServiceManager.IManager,
    others: Promise<void> | null
  ) {
    _services.sessions.runningChanged.connect(this._later, this);
    _services.kernels.runningChanged.connect(this._later, this);
    void _services.ready.then(() => this._update());
    void others?.then(() => {
      this._listsOthers = true;
      this._later();
    });
  }

  get changed(): ISignal<KernelSource, void> {
    return this._changed;
  }

  get kernels(): readonly KernelRecord[] {
    return this._records;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Use the connection of a notebook or a console, as long as it is there. */
  watch(context: ISessionContext): void {
    const follow = (): void => this._hold(context, context.session?.kernel ?? null);
    context.kernelChanged.connect(follow);
    context.disposed.connect(() => this._hold(context, null));
    follow();
  }

  connect(kernelId: string): Channel {
    const here = this._connectionHere(kernelId);
    if (here !== undefined) {
      return new JupyterChannel(here, { isOwn: false });
    }
    const model = [...this._services.kernels.running()].find(each => each.id === kernelId);
    const connection = this._services.kernels.connectTo({
      model: { id: kernelId, name: model?.name ?? '' },
      handleComms: false
    });
    return new JupyterChannel(connection, { isOwn: true });
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this._services.sessions.runningChanged.disconnect(this._later, this);
    this._services.kernels.runningChanged.disconnect(this._later, this);
    clearTimeout(this._settling);
    Signal.clearData(this);
  }

  private _hold(context: ISessionContext, connection: Kernel.IKernelConnection | null): void {
    if (connection === null) {
      this._held.delete(context);
    } else {
      this._held.set(context, connection);
      if (connection.handleComms) {
        // Without a target the connection would close our comm when the kernel opens it.
        connection.registerCommTarget(COMM_TARGET, () => undefined);
      }
    }
    this._update();
  }

  /** List what still runs when things have settled: a kernel that a notebook of this page starts is no other's. */
  private _later(): void {
    clearTimeout(this._settling);
    this._settling = setTimeout(() => {
      const running = this._listsOthers ? [...this._services.kernels.running()] : [];
      this._others = new Set(running.map(each => each.id));
      this._update();
    }, SETTLING);
  }

  private _connectionHere(kernelId: string): Kernel.IKernelConnection | undefined {
    return [...this._held.values()].find(each => each.id === kernelId && !each.isDisposed);
  }

  private _update(): void {
    if (this._disposed) {
      return;
    }
    const records = new Map<string, KernelRecord>();
    for (const model of this._services.kernels.running()) {
      if (this._others.has(model.id)) {
        this._note(records, model.id, model.name, model.name);
      }
    }
    for (const session of this._services.sessions.running()) {
      if (session.kernel !== null && this._others.has(session.kernel.id)) {
        this._note(records, session.kernel.id, session.kernel.name, labelOf(session));
      }
    }
    this._held.forEach((connection, context) => {
      this._note(records, connection.id, connection.name, context.name || context.path);
    });
    const next = [...records.values()];
    if (JSON.stringify(next) !== JSON.stringify(this._records)) {
      this._records = next;
      this._changed.emit();
    }
  }

  private _note(records: Map<string, KernelRecord>, id: string, specName: string, label: string): void {
    if (this._speaksPython(specName)) {
      records.set(id, { id, label, isOpenHere: this._connectionHere(id) !== undefined });
    }
  }

  private _speaksPython(specName: string): boolean {
    const language = this._services.kernelspecs.specs?.kernelspecs[specName]?.language;
    return language === undefined || language.toLowerCase() === 'python';
  }

  private readonly _held = new Map<ISessionContext, Kernel.IKernelConnection>();
  private readonly _changed = new Signal<KernelSource, void>(this);
  private _records: KernelRecord[] = [];
  private _others: ReadonlySet<string> = new Set();
  private _listsOthers = false;
  private _settling: ReturnType<typeof setTimeout> | undefined;
  private _disposed = false;
}

function labelOf(session: Session.IModel): string {
  return session.name || session.path;
}

/** A line over one of JupyterLab's connections. */
class JupyterChannel implements Channel {
  constructor(
    private readonly _kernel: Kernel.IKernelConnection,
    private readonly _options: { isOwn: boolean }
  ) {
    _kernel.iopubMessage.connect(this._onMessage, this);
    _kernel.statusChanged.connect(this._onStatus, this);
    _kernel.connectionStatusChanged.connect(this._onConnection, this);
  }

  get event(): ISignal<Channel, ChannelEvent> {
    return this._event;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  async route(): Promise<Route> {
    const info = await within(this._kernel.info, PATIENCE);
    return info === null || hasSubshells(info) ? 'shell' : 'control';
  }

  async findComms(): Promise<string[]> {
    try {
      const answer = this._commsByControl();
      return (await within(answer, PATIENCE)) ?? (await Promise.race([answer, this._commsByShell()]));
    } catch (error) {
      // The kernel went away while it was asked.
      console.debug('bgdl-jupyter: a kernel could not be asked for its comms.', error);
      return [];
    }
  }

  send(commId: string, command: Command, route: Route, subshell: string | null): void {
    if (this._kernel.isDisposed || this._kernel.status === 'dead') {
      return;
    }
    const message = KernelMessage.createMessage<KernelMessage.ICommMsgMsg<'shell'>>({
      msgType: 'comm_msg',
      channel: 'shell',
      session: this._kernel.clientId,
      username: this._kernel.username,
      content: { comm_id: commId, data: { ...command } }
    });
    if (route === 'control') {
      this._kernel.sendControlMessage(onControl(message), false, true);
    } else {
      // The types of the oldest JupyterLab that we work with do not know subshells.
      Object.assign(message.header, { subshell_id: subshell });
      this._kernel.sendShellMessage(message, false, true);
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this._kernel.iopubMessage.disconnect(this._onMessage, this);
    this._kernel.statusChanged.disconnect(this._onStatus, this);
    this._kernel.connectionStatusChanged.disconnect(this._onConnection, this);
    if (this._options.isOwn) {
      this._kernel.dispose();
    }
    Signal.clearData(this);
  }

  private async _commsByControl(): Promise<string[]> {
    const message = KernelMessage.createMessage<KernelMessage.ICommInfoRequestMsg>({
      msgType: 'comm_info_request',
      channel: 'shell',
      session: this._kernel.clientId,
      username: this._kernel.username,
      content: { target_name: COMM_TARGET }
    });
    const future = this._kernel.sendControlMessage(onControl(message), true, true);
    return new Promise((resolve, reject) => {
      // The reply is that of the request on the shell channel, whatever the types of the control channel say.
      future.onReply = reply => resolve(commIds(reply.content));
      future.done.catch(reject);
    });
  }

  private async _commsByShell(): Promise<string[]> {
    const reply = await this._kernel.requestCommInfo({ target_name: COMM_TARGET });
    return commIds(reply.content);
  }

  private _onMessage(_: Kernel.IKernelConnection, message: KernelMessage.IIOPubMessage): void {
    if (KernelMessage.isCommOpenMsg(message)) {
      if (message.content.target_name === COMM_TARGET) {
        this._event.emit({ type: 'open', commId: message.content.comm_id });
      }
    } else if (KernelMessage.isCommMsgMsg(message)) {
      this._event.emit({ type: 'message', commId: message.content.comm_id, data: message.content.data });
    } else if (KernelMessage.isCommCloseMsg(message)) {
      this._event.emit({ type: 'close', commId: message.content.comm_id });
    }
  }

  private _onStatus(_: Kernel.IKernelConnection, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this._event.emit({ type: 'restarting' });
    }
  }

  private _onConnection(_: Kernel.IKernelConnection, status: Kernel.ConnectionStatus): void {
    if (status === 'connected' && this._wasLost) {
      this._event.emit({ type: 'reconnected' });
    }
    this._wasLost = status !== 'connected';
  }

  private readonly _event = new Signal<Channel, ChannelEvent>(this);
  private _wasLost = false;
  private _disposed = false;
}

/** Turn a message of the shell channel into one of the control channel, which ipykernel takes there as well. */
function onControl(message: KernelMessage.IShellMessage): KernelMessage.IControlMessage {
  return { ...message, channel: 'control' } as unknown as KernelMessage.IControlMessage;
}

function hasSubshells(info: KernelMessage.IInfoReply): boolean {
  const { supported_features: features } = info as { supported_features?: unknown };
  return Array.isArray(features) && features.includes('kernel subshells');
}

function commIds(content: unknown): string[] {
  const { comms } = content as { comms?: Readonly<Record<string, { target_name?: unknown }>> };
  return Object.entries(comms ?? {})
    .filter(([, each]) => each.target_name === COMM_TARGET)
    .map(([id]) => id);
}

/** Wait for a promise for so many milliseconds; null when that was not enough. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<null>(resolve => {
    timer = setTimeout(() => resolve(null), milliseconds);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(timer);
  }
}
