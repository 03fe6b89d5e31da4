import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Downloads } from '../src/model';
import { parseMessage } from '../src/parsing';
import { alert, changed, group, kernel, operation, snapshot, totals, wire } from './examples';

describe('the downloads of a kernel', () => {
  it('are what the examples of the wire add up to', () => {
    const { store } = kernel();
    for (const name of ['snapshot, first part', 'snapshot, last part', 'changed', 'removed']) {
      const message = parseMessage(wire.from_kernel[name]);
      assert.ok(message);
      store.apply(message);
    }
    assert.deepEqual(
      [...store.operations.values()].map(each => each.name),
      ['climate.tar', 'ice <img src=x onerror=alert(1)>.nc', 'winds.grib']
    );
    assert.equal(store.operations.get('3f1c9f0e6d4b4a6e9a0c1d2e3f405162')?.received, 20000000);
    assert.deepEqual([...store.groups.keys()], ['']);
    assert.equal(store.alerts.size, 0);
    assert.equal(store.application, '/data/ada/climate.ipynb');
  });

  it('are replaced by a snapshot only when all its parts are there', () => {
    const { store } = kernel({ operations: [operation({ id: 'old' })] });
    store.apply(snapshot({ part: 1, parts: 2, operations: [operation({ id: 'a' })] }));
    assert.deepEqual([...store.operations.keys()], ['old']);
    store.apply(snapshot({ part: 2, parts: 2, operations: [operation({ id: 'b' })] }));
    assert.deepEqual([...store.operations.keys()], ['a', 'b']);
  });

  it('keep what changed between the parts of a snapshot', () => {
    const { store } = kernel();
    store.apply(snapshot({ part: 1, parts: 2, operations: [operation({ id: 'a', received: 1 })] }));
    store.apply(changed({ operations: [operation({ id: 'a', received: 2 })] }));
    store.apply(snapshot({ part: 2, parts: 2 }));
    assert.equal(store.operations.get('a')?.received, 2);
  });

  it('are not touched by a snapshot that began before we listened', () => {
    const { store } = kernel({ operations: [operation({ id: 'a' })] });
    store.apply(snapshot({ part: 2, parts: 2, operations: [operation({ id: 'b' })] }));
    assert.deepEqual([...store.operations.keys()], ['a']);
  });

  it('say nothing before the first snapshot', () => {
    const { store } = kernel();
    store.reset('kernel');
    store.apply(changed({ operations: [operation()] }));
    assert.equal(store.isReady, false);
    assert.equal(store.operations.size, 0);
  });

  it('tell an alert once, however often it is sent', () => {
    const { store } = kernel();
    const told: string[] = [];
    store.alerted.connect((_, { id }) => told.push(id));
    store.apply(changed({ alerts: [alert({ id: 'a' })] }));
    store.apply(changed({ alerts: [alert({ id: 'a' })] }));
    store.apply(snapshot({ alerts: [alert({ id: 'a' }), alert({ id: 'b' })] }));
    assert.deepEqual(told, ['a', 'b']);
  });

  it('count an order only when rows move', () => {
    const { store } = kernel({ operations: [operation()], groups: [group({ name: '' })] });
    const before = store.orderRevision;
    store.apply(changed({ operations: [operation({ received: 10, rate: 5 })] }));
    assert.equal(store.orderRevision, before);
    store.apply(changed({ operations: [operation({ status: 'COMPLETED' })] }));
    assert.notEqual(store.orderRevision, before);
  });
});

describe('the downloads of all kernels', () => {
  it('add up, with the worst state of any', () => {
    const downloads = new Downloads();
    const first = kernel({ totals: totals({ active: 2, rate: 10 }) }, { id: 'first' });
    const second = kernel({ totals: totals({ active: 1, rate: 5, failed: 1, worst: 'error' }) }, { id: 'second' });
    downloads.add(first.store);
    downloads.add(second.store);
    assert.deepEqual(downloads.totals, { active: 3, queued: 0, failed: 1, rate: 15, worst: 'error' });
    downloads.remove('second');
    assert.equal(downloads.totals.worst, 'ok');
  });

  it('remember the rates of all kernels together', () => {
    let now = 0;
    const downloads = new Downloads(() => now);
    const kernels = ['first', 'second'].map(id => kernel({}, { id }).store);
    kernels.forEach(each => downloads.add(each));
    for (now = 0; now < 3000; now += 1000) {
      kernels.forEach(each => each.apply(changed({ totals: totals({ rate: 10 + now / 1000 }) })));
    }
    assert.deepEqual(downloads.history.samples, [20, 22, 24]);
  });

  it('say when a kernel is ready, and again after it was reset', () => {
    const downloads = new Downloads();
    const { store } = kernel();
    store.reset('kernel');
    downloads.add(store);
    const ready: string[] = [];
    downloads.kernelReady.connect((_, { kernelId }) => ready.push(kernelId));
    store.apply(snapshot());
    store.apply(snapshot());
    store.reset('kernel');
    store.apply(snapshot());
    assert.deepEqual(ready, ['kernel', 'kernel']);
  });
});
