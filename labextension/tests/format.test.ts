import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  describeCount,
  describeGroup,
  describeOperation,
  describeTotals,
  formatBytes,
  formatDuration,
  formatPercent,
  formatProgress,
  formatRate,
  fractionOf,
  stateOf
} from '../src/format';
import { plotPoints, RateHistory } from '../src/history';
import { badged } from '../src/titleBadge';
import { group, operation, totals, trans } from './examples';

describe('numbers', () => {
  it('are decimal, with three digits', () => {
    const said = [0, 999, 1000, 1500, 42e6, 999_499, 999_500, 118e9, 5e18].map(formatBytes);
    assert.deepEqual(said, ['0 B', '999 B', '1.00 kB', '1.50 kB', '42.0 MB', '999 kB', '1.00 MB', '118 GB', '5.00 EB']);
    assert.equal(formatRate(42e6), '42.0 MB/s');
  });

  it('never say 100 % before it is done', () => {
    assert.equal(formatPercent(0.9999), '99 %');
    assert.equal(formatPercent(1), '100 %');
  });

  it('leave out the first of two units that are the same', () => {
    assert.equal(formatProgress(12.3e6, 98.1e6, trans), '12.3 of 98.1 MB');
    assert.equal(formatProgress(120e3, 98.1e6, trans), '120 kB of 98.1 MB');
    assert.equal(formatProgress(120e3, null, trans), '120 kB');
  });

  it('are times to go in as little room as they need', () => {
    const said = [0.4, 59, 60, 200, 3599, 3600, 90000, 200000].map(each => formatDuration(each, trans));
    assert.deepEqual(said, ['0 s', '59 s', '1:00', '3:20', '59:59', '1:00:00', '25:00:00', '2 d 7 h']);
  });
});

describe('words', () => {
  it('tell how far a running operation is', () => {
    const running = operation({ received: 12.3e6, total: 98.1e6, rate: 4.2e6, eta: 20 });
    assert.equal(describeOperation(running, trans), '12.3 of 98.1 MB · 4.20 MB/s · 20 s left');
  });

  it('tell why an operation does not move', () => {
    const paused = operation({ status: 'PAUSED_NO_NETWORK', reason: 'No network.', received: 2e6, total: null });
    assert.equal(describeOperation(paused, trans), 'No network. · 2.00 MB');
    const queued = operation({ activity: 'QUEUED' });
    assert.equal(describeOperation(queued, trans), 'Queued');
    const failed = operation({ status: 'ERROR', error: '404 Not Found' });
    assert.equal(describeOperation(failed, trans), '404 Not Found');
  });

  it('tell what follows a file, which is not done before', () => {
    const text = 'unpacking: 40%, 12 of 30 files';
    const unpacking = operation({ status: 'COMPLETED', fraction: 1, post_processing: { state: 'running', text, fraction: 0.4 } });
    assert.equal(stateOf(unpacking), 'moving');
    assert.equal(describeOperation(unpacking, trans), text);
    assert.equal(fractionOf(unpacking), 0.4);
    const waiting = operation({ status: 'COMPLETED', post_processing: { state: 'waiting', text: 'waits', fraction: null } });
    assert.equal(stateOf(waiting), 'waiting');
    assert.equal(describeOperation(waiting, trans), 'waits');
    const failed = operation({
      status: 'COMPLETED',
      error: 'The archive is damaged.',
      post_processing: { state: 'failed', text: '', fraction: null }
    });
    assert.equal(stateOf(failed), 'failed');
    assert.equal(describeOperation(failed, trans), 'The archive is damaged.');
  });

  it('tell how a group stands', () => {
    const running = group({ counts: { total: 12, running: 2, completed: 3, failed: 1 }, received: 5e6, rate: 1e6 });
    assert.equal(describeGroup(running, trans), '5.00 MB · 1.00 MB/s · 1 failed');
    assert.equal(describeCount(running, trans), '3 of 12');
  });

  it('fit the status bar, and say nothing when there is nothing', () => {
    assert.equal(describeTotals(totals({ active: 3, rate: 42e6 }), trans), '3 ↓ 42.0 MB/s');
    assert.equal(describeTotals(totals({ failed: 2, worst: 'error' }), trans), '2 failed');
    assert.equal(describeTotals(totals({ worst: 'paused' }), trans), 'paused');
    assert.equal(describeTotals(totals(), trans), '');
  });

  it('set waiting apart from moving', () => {
    assert.equal(stateOf(operation({ activity: 'DOWNLOADING' })), 'moving');
    assert.equal(stateOf(operation({ activity: 'BACKING_OFF' })), 'waiting');
  });

  it('go in front of the title of the tab, once', () => {
    assert.equal(badged('Lab', 3), '(3 ↓) Lab');
    assert.equal(badged('(3 ↓) Lab', 12), '(12 ↓) Lab');
    assert.equal(badged('(3 ↓) Lab', 0), 'Lab');
  });
});

describe('the history of rates', () => {
  it('keeps one sample an interval and no more than it can show', () => {
    const history = new RateHistory(3, 1000);
    [0, 100, 1000, 2000, 3000].forEach((now, index) => history.add(index, now));
    assert.deepEqual(history.samples, [2, 3, 4]);
  });

  it('is drawn with the newest at the right', () => {
    assert.equal(plotPoints([0, 10], 60, 16, 3), '30,16 60,0');
  });
});
