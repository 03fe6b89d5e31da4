import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Downloads } from '../src/model';
import { IPreferences, Notifier, PARTING, Presenter } from '../src/presenter';
import type { Snapshot } from '../src/protocol';
import { INotice, MAX_LENGTH, MAX_PROGRESS } from '../src/toasts';
import { alert, changed, group, kernel, operation, snapshot, trans } from './examples';

interface IShown {
  notice: INotice;
  popup: boolean;
}

class FakeNotifier implements Notifier {
  readonly shown = new Map<string, IShown>();
  readonly closed = new Set<string>();
  readonly told: string[] = [];
  shows = 0;
  canTell = false;

  show(notice: INotice, { popup }: { popup: boolean }): string {
    this.shows += 1;
    const id = `${this.shows}`;
    this.shown.set(id, { notice, popup });
    return id;
  }

  update(id: string, notice: INotice, { popup }: { popup: boolean }): boolean {
    if (!this.shown.has(id)) {
      return false;
    }
    this.shown.set(id, { notice, popup });
    return true;
  }

  dismiss(id: string): void {
    this.shown.delete(id);
  }

  isClosed(id: string): boolean {
    return this.closed.has(id);
  }

  tell(title: string): void {
    this.told.push(title);
  }

  get notices(): INotice[] {
    return [...this.shown.values()].map(each => each.notice);
  }
}

function presented(fields: Partial<Snapshot> = {}, choices: Partial<IPreferences> = {}) {
  let now = 0;
  let preferences = choices;
  const stored = new Set<string>();
  const downloads = new Downloads();
  const { store, sent } = kernel(fields);
  downloads.add(store);
  const notifier = new FakeNotifier();
  const presenter = new Presenter({
    downloads,
    notifier,
    shown: { has: id => stored.has(id), add: id => stored.add(id) },
    preferences: () => ({ progress: 'toast', alerts: 'toast', browserNotifications: true, ...preferences }),
    trans,
    now: () => now
  });
  const later = (milliseconds: number): void => {
    now += milliseconds;
    presenter.refresh();
  };
  const prefer = (others: Partial<IPreferences>): void => {
    preferences = others;
  };
  later(0);
  return { store, sent, notifier, presenter, later, prefer };
}

const running = group({ name: 'climate', counts: { total: 3, running: 3 }, rate: 1e6, allowed: ['pause'] });

describe('toasts of progress', () => {
  it('come once for a group, whatever the number of its operations, and are updated', () => {
    const operations = Array.from({ length: 1000 }, (_, index) => operation({ id: `${index}`, group: 'climate' }));
    const { store, notifier, later } = presented({ operations, groups: [running] });
    later(2000);
    store.apply(changed({ groups: [{ ...running, fraction: 0.42, eta: 20 }] }));
    later(1000);
    assert.equal(notifier.shows, 1);
    assert.deepEqual(notifier.notices.map(each => each.text), ['climate\n42 % · 0 of 3 files · 0 B · 1.00 MB/s · 20 s left']);
    assert.deepEqual(notifier.notices[0]?.actions, ['pause', 'panel']);
  });

  it('do not come for what is done in a moment', () => {
    const { store, notifier, later } = presented({ groups: [running] });
    later(1000);
    store.apply(changed({ groups: [group({ name: 'climate', counts: { completed: 3, total: 3 } })] }));
    later(1000);
    assert.equal(notifier.shows, 0);
  });

  it('are few: the last speaks for the rest', () => {
    const groups = Array.from({ length: 50 }, (_, index) => ({ ...running, name: `group ${index}` }));
    const { notifier, later } = presented({ groups });
    later(2000);
    assert.equal(notifier.shown.size, MAX_PROGRESS);
    assert.equal(notifier.notices[2]?.text, '48 more groups\n0 of 144 files · 48.0 MB/s');
  });

  it('go away when nothing runs any more', () => {
    const { store, notifier, later } = presented({ groups: [running] });
    later(2000);
    store.apply(changed({ groups: [group({ name: 'climate', counts: { paused: 3 } })] }));
    later(1000);
    later(PARTING);
    assert.equal(notifier.shown.size, 0);
  });

  it('go away at once when another speaks for them', () => {
    const { store, notifier, later } = presented({ groups: [running] });
    later(2000);
    const groups = Array.from({ length: 3 }, (_, index) => ({ ...running, name: `group ${index}` }));
    store.apply(changed({ groups }));
    later(1000);
    later(2000);
    assert.equal(notifier.shown.size, MAX_PROGRESS);
  });

  it('stay closed when somebody closed them, and are kept in the centre', () => {
    const { store, notifier, later } = presented({ groups: [running] });
    later(2000);
    notifier.closed.add('1');
    store.apply(changed({ groups: [{ ...running, fraction: 0.5 }] }));
    later(1000);
    assert.equal(notifier.shown.get('1')?.popup, false);
  });

  it('are left out where the user or the application wants none', () => {
    for (const chosen of [presented({ groups: [running] }, { progress: 'off' }), presented({ groups: [running], settings: { toasts: false } })]) {
      chosen.later(2000);
      assert.equal(chosen.notifier.shows, 0);
    }
  });
});

describe('toasts of alerts', () => {
  it('take the place of the progress of their group', () => {
    const { store, notifier, later } = presented({ groups: [running] });
    later(2000);
    const over = group({ name: 'climate', counts: { total: 3, completed: 3 } });
    const file = operation({ group: 'climate', status: 'COMPLETED', path: 'data/a.nc' });
    store.apply(changed({ groups: [over], operations: [file], alerts: [alert({ title: '3 downloads finished', group: 'climate' })] }));
    later(1000);
    assert.equal(notifier.shows, 1);
    assert.deepEqual(notifier.notices[0], {
      key: 'kernel/climate',
      kernelId: 'kernel',
      group: 'climate',
      type: 'success',
      text: '3 downloads finished',
      actions: ['open', 'panel']
    });
  });

  it('take the place of the progress of their group also when they come a moment after its end', () => {
    const { store, notifier, later } = presented({ groups: [running] });
    later(2000);
    store.apply(changed({ groups: [group({ name: 'climate', counts: { total: 3, completed: 3 } })] }));
    later(PARTING / 2);
    store.apply(changed({ alerts: [alert({ title: '3 downloads finished', group: 'climate' })] }));
    later(PARTING);
    assert.equal(notifier.shows, 1);
    assert.deepEqual(notifier.notices.map(each => each.text), ['3 downloads finished']);
  });

  it('go when the kernel takes them back', () => {
    const { store, notifier } = presented();
    store.apply(changed({ alerts: [alert({ id: 'failure-1', kind: 'failure' })] }));
    assert.equal(notifier.shown.size, 1);
    store.apply({ type: 'removed', operations: [], groups: [], alerts: ['failure-1'] });
    assert.equal(notifier.shown.size, 0);
  });

  it('offer a retry where the kernel allows it', () => {
    const failed = group({ name: 'climate', counts: { failed: 1 }, allowed: ['retry'] });
    const { store, notifier } = presented({ groups: [failed] });
    store.apply(changed({ alerts: [alert({ kind: 'failure', group: 'climate' })] }));
    assert.deepEqual(notifier.notices[0]?.actions, ['retry', 'panel']);
    assert.equal(notifier.notices[0]?.type, 'error');
  });

  it('come once, also after the page was loaded again', () => {
    const { store, notifier } = presented();
    store.apply(changed({ alerts: [alert()] }));
    store.reset('kernel');
    store.apply(snapshot({ alerts: [alert()] }));
    assert.equal(notifier.shows, 1);
  });

  it('are few when batches end at once, and none is lost from the count', () => {
    const { store, notifier } = presented();
    const alerts = Array.from({ length: 100 }, (_, index) => alert({ id: `${index}`, kind: index % 10 ? 'success' : 'failure' }));
    store.apply(changed({ alerts }));
    assert.equal(notifier.shown.size, 4);
    assert.equal(notifier.notices[3]?.text, '88 more downloads finished · 9 more failed');
    assert.equal(notifier.notices[3]?.type, 'error');
  });

  it('that are quiet go to the centre and nowhere else', () => {
    const { store, notifier } = presented();
    store.apply(changed({ alerts: [alert({ quiet: true })] }));
    assert.equal([...notifier.shown.values()][0]?.popup, false);
    assert.deepEqual(notifier.told, []);
  });

  it('say that they happened while the user was away, and are told outside the page', () => {
    const { store, notifier } = presented();
    store.apply(changed({ alerts: [alert({ while_away: true, title: 'Done' })] }));
    assert.equal(notifier.notices[0]?.text, 'While you were away: Done');
    assert.deepEqual(notifier.told, ['Done']);
  });

  it('are said to be refused to the kernels when nothing may pop up, and to be welcome again', () => {
    const { sent, notifier, later, prefer } = presented();
    const said = (choices: Partial<IPreferences>): string[] => {
      sent.length = 0;
      prefer(choices);
      later(1000);
      return sent.map(each => each.verb);
    };
    assert.deepEqual(said({ alerts: 'off' }), ['refuse_toasts']);
    assert.deepEqual(said({ alerts: 'center' }), []);
    notifier.canTell = true;
    assert.deepEqual(said({ alerts: 'center' }), ['allow_toasts']);
    assert.deepEqual(said({ alerts: 'center', browserNotifications: false }), ['refuse_toasts']);
    assert.deepEqual(said({}), ['allow_toasts']);
  });

  it('are said to be refused to a kernel that comes later', () => {
    const { store, sent } = presented({}, { alerts: 'off' });
    sent.length = 0;
    store.reset('kernel');
    store.apply(snapshot());
    assert.deepEqual(sent, [{ verb: 'refuse_toasts' }]);
  });

  it('fit what JupyterLab shows', () => {
    const { store, notifier } = presented();
    store.apply(changed({ alerts: [alert({ title: 'x'.repeat(500) })] }));
    assert.equal(notifier.notices[0]?.text.length, MAX_LENGTH);
  });
});
