import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { RememberedNotebooks, StateStore } from '../src/remembered';

class FakeStore implements StateStore {
  constructor(public value: unknown = undefined) {}

  fetch(): Promise<unknown> {
    return Promise.resolve(this.value);
  }

  save(_: string, value: { paths: string[] }): Promise<void> {
    this.value = value;
    return Promise.resolve();
  }
}

describe('remembered notebooks', () => {
  it('outlive the page', async () => {
    const store = new FakeStore();
    const before = new RememberedNotebooks(store);
    await before.ready;
    before.add('a.ipynb');
    const after = new RememberedNotebooks(store);
    await after.ready;
    assert.equal(after.has('a.ipynb'), true);
    assert.equal(after.has('b.ipynb'), false);
  });

  it('keep their memory under another name, until they are forgotten', async () => {
    const remembered = new RememberedNotebooks(new FakeStore({ paths: ['a.ipynb'] }));
    await remembered.ready;
    remembered.rename('a.ipynb', 'b.ipynb');
    assert.equal(remembered.has('a.ipynb'), false);
    assert.equal(remembered.has('b.ipynb'), true);
    remembered.forget('b.ipynb');
    assert.equal(remembered.has('b.ipynb'), false);
  });

  it('survive a database that holds something else', async () => {
    const remembered = new RememberedNotebooks(new FakeStore({ paths: [7, 'a.ipynb', null] }));
    await remembered.ready;
    assert.equal(remembered.has('a.ipynb'), true);
  });

  it('are bounded, and the oldest is forgotten', async () => {
    const remembered = new RememberedNotebooks(null);
    await remembered.ready;
    Array.from({ length: 501 }, (_, index) => remembered.add(`${index}.ipynb`));
    assert.equal(remembered.has('0.ipynb'), false);
    assert.equal(remembered.has('500.ipynb'), true);
  });
});
