import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';

import { ISignal, Signal } from '@lumino/signaling';

import { Channel, ChannelEvent, Connections, KernelRecord, KernelSource, Route } from '../src/connection';
import { Downloads } from '../src/model';
import type { Command } from '../src/protocol';
import { operation, snapshot, totals } from './examples';

interface ISent {
  readonly commId: string;
  readonly command: Command;
  readonly route: Route;
  readonly subshell: string | null;
}

class FakeChannel implements Channel {
  readonly event: Signal<Channel, ChannelEvent> = new Signal<Channel, ChannelEvent>(this);
  readonly sent: ISent[] = [];
  isDisposed = false;

  constructor(private readonly _kernel: FakeKernel) {}

  route(): Promise<Route> {
    return Promise.resolve(this._kernel.route);
  }

  findComms(): Promise<string[]> {
    return Promise.resolve(this._kernel.comms);
  }

  send(commId: string, command: Command, route: Route, subshell: string | null): void {
    this.sent.push({ commId, command, route, subshell });
  }

  dispose(): void {
    this.isDisposed = true;
  }
}

interface FakeKernel extends KernelRecord {
  comms: string[];
  route: Route;
}

class FakeKernels implements KernelSource {
  private readonly _changed = new Signal<KernelSource, void>(this);
  readonly channels: FakeChannel[] = [];
  isDisposed = false;

  constructor(public kernels: FakeKernel[]) {}

  get changed(): ISignal<KernelSource, void> {
    return this._changed;
  }

  get channel(): FakeChannel {
    const last = this.channels[this.channels.length - 1];
    assert.ok(last);
    return last;
  }

  become(kernels: FakeKernel[]): void {
    this.kernels = kernels;
    this._changed.emit();
  }

  connect(kernelId: string): Channel {
    const kernel = this.kernels.find(each => each.id === kernelId);
    assert.ok(kernel);
    const channel = new FakeChannel(kernel);
    this.channels.push(channel);
    return channel;
  }

  dispose(): void {
    this.isDisposed = true;
  }
}

function fakeKernel(fields: Partial<FakeKernel> = {}): FakeKernel {
  return { id: 'k', label: 'a.ipynb', isOpenHere: true, comms: ['comm'], route: 'shell', ...fields };
}

function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

function verbs(channel: FakeChannel): string[] {
  return channel.sent.map(({ command, route }) => `${command.verb} ${route}`);
}

describe('the connection to a kernel', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  async function connected(
    fields: Partial<FakeKernel> = {}
  ): Promise<{ source: FakeKernels; downloads: Downloads; connections: Connections }> {
    const source = new FakeKernels([fakeKernel(fields)]);
    const downloads = new Downloads();
    const connections = new Connections(source, downloads);
    await settled();
    return { source, downloads, connections };
  }

  const running = snapshot({ totals: totals({ active: 1 }), operations: [operation()] });

  it('finds the comm that is there, subscribes and fills the model', async () => {
    const { source, downloads } = await connected();
    assert.deepEqual(verbs(source.channel), ['subscribe shell']);
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    assert.deepEqual(
      downloads.kernels.map(each => each.operations.size),
      [1]
    );
  });

  it('takes the control channel where the kernel has no subshells', async () => {
    const { source } = await connected({ route: 'control' });
    assert.deepEqual(verbs(source.channel), ['subscribe control']);
  });

  it('tries the other way when a busy kernel does not answer, and stops when it does', async () => {
    const { source } = await connected();
    mock.timers.tick(3000);
    await settled();
    assert.deepEqual(verbs(source.channel), ['subscribe shell', 'subscribe control']);
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    mock.timers.tick(60000);
    await settled();
    assert.equal(source.channel.sent.length, 2);
  });

  it('does not ask for ever', async () => {
    const { source } = await connected();
    for (let round = 0; round < 20; round += 1) {
      mock.timers.tick(3000);
      await settled();
    }
    assert.equal(source.channel.sent.length, 4);
  });

  it('listens to a comm that the kernel opens later', async () => {
    const { source } = await connected({ comms: [] });
    assert.deepEqual(verbs(source.channel), []);
    source.channel.event.emit({ type: 'open', commId: 'new' });
    await settled();
    assert.equal(source.channel.sent[0]?.commId, 'new');
  });

  it('sends commands to the subshell that the kernel named', async () => {
    const { source, downloads } = await connected();
    const kernel = { id: 'k', loop: 'subshell', subshell: 'own' };
    source.channel.event.emit({ type: 'message', commId: 'comm', data: { ...running, kernel } });
    downloads.get('k')?.send({ verb: 'pause', operation_id: 'one' });
    await settled();
    assert.deepEqual(source.channel.sent[1], {
      commId: 'comm',
      command: { verb: 'pause', operation_id: 'one' },
      route: 'shell',
      subshell: 'own'
    });
  });

  it('ignores other comms, and counts what is no message', async () => {
    const warn = mock.method(console, 'warn', () => undefined);
    const { source, downloads, connections } = await connected();
    source.channel.event.emit({ type: 'message', commId: 'other', data: running });
    assert.equal(downloads.kernels.length, 0);
    source.channel.event.emit({ type: 'message', commId: 'comm', data: { type: 'explode' } });
    source.channel.event.emit({ type: 'message', commId: 'comm', data: null });
    assert.equal(connections.refused, 2);
    assert.equal(warn.mock.callCount(), 1);
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    assert.equal(downloads.kernels.length, 1);
    warn.mock.restore();
  });

  it('forgets what a kernel had when it restarts, and fills again when the extension is back', async () => {
    const { source, downloads } = await connected();
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    source.channel.event.emit({ type: 'restarting' });
    assert.equal(downloads.kernels.length, 0);
    source.channel.event.emit({ type: 'open', commId: 'second' });
    await settled();
    source.channel.event.emit({ type: 'message', commId: 'second', data: running });
    assert.equal(downloads.kernels.length, 1);
  });

  it('says when the extension was unloaded, but not when the kernel restarts', async () => {
    const { source, downloads } = await connected();
    const unloaded: string[] = [];
    downloads.unloaded.connect((_, { kernelId }) => unloaded.push(kernelId));
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    source.channel.event.emit({ type: 'restarting' });
    assert.deepEqual(unloaded, []);
    source.channel.event.emit({ type: 'open', commId: 'comm' });
    source.channel.event.emit({ type: 'close', commId: 'comm' });
    assert.deepEqual(unloaded, ['k']);
  });

  it('asks anew after the line was lost', async () => {
    const { source } = await connected();
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    source.channel.event.emit({ type: 'reconnected' });
    await settled();
    assert.deepEqual(verbs(source.channel), ['subscribe shell', 'subscribe shell']);
  });

  it('drops a kernel that is gone', async () => {
    const { source, downloads } = await connected();
    source.channel.event.emit({ type: 'message', commId: 'comm', data: running });
    source.become([]);
    assert.equal(downloads.kernels.length, 0);
    assert.equal(source.channel.isDisposed, true);
  });

  it('lets go of everything with its owner', async () => {
    const { source, connections } = await connected();
    connections.dispose();
    assert.equal(source.isDisposed, true);
    assert.equal(source.channel.isDisposed, true);
  });
});

describe('a kernel that is not open in this page', () => {
  it('is let go of when it has no downloads, and asked again on demand', async () => {
    const source = new FakeKernels([fakeKernel({ isOpenHere: false, comms: [] })]);
    const connections = new Connections(source, new Downloads());
    await settled();
    assert.equal(source.channel.isDisposed, true);
    connections.refresh();
    await settled();
    assert.equal(source.channels.length, 2);
  });

  it('is let go of when nothing runs, stays on show, and hears commands', async () => {
    const source = new FakeKernels([fakeKernel({ isOpenHere: false })]);
    const downloads = new Downloads();
    const connections = new Connections(source, downloads);
    await settled();
    const [first] = source.channels;
    assert.ok(first);
    first.event.emit({ type: 'message', commId: 'comm', data: snapshot({ operations: [operation()] }) });
    assert.equal(first.isDisposed, true);
    assert.equal(downloads.kernels[0]?.operations.size, 1);
    downloads.get('k')?.send({ verb: 'clear', group: '' });
    await settled();
    await settled();
    assert.deepEqual(
      source.channel.sent.map(({ command }) => command.verb),
      ['subscribe', 'clear']
    );
    connections.dispose();
  });

  it('is asked over the new line when a notebook shows it before it has answered', async () => {
    const source = new FakeKernels([fakeKernel({ isOpenHere: false })]);
    const connections = new Connections(source, new Downloads());
    source.become([fakeKernel({ isOpenHere: true })]);
    await settled();
    assert.deepEqual(verbs(source.channel), ['subscribe shell']);
    connections.dispose();
  });

  it('is talked to over the page’s own connection once a notebook shows it', async () => {
    const source = new FakeKernels([fakeKernel({ isOpenHere: false })]);
    const downloads = new Downloads();
    const connections = new Connections(source, downloads);
    await settled();
    source.become([fakeKernel({ isOpenHere: true })]);
    await settled();
    assert.equal(source.channels[0]?.isDisposed, true);
    assert.equal(source.channels.length, 2);
    connections.dispose();
  });
});
