import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { OperationView } from '../src/protocol';
import { groupKey, ISelection, offsetsOf, Row, ROW_HEIGHTS, rowsOf, windowOf } from '../src/rows';
import { group, kernel, operation } from './examples';

const ALL: ISelection = { filter: 'all', search: '', collapsed: new Set() };

function names(rows: Row[]): string[] {
  return rows.map(row => (row.kind === 'operation' ? row.operationId : row.kind === 'group' ? `[${row.group}]` : '#'));
}

const OPERATIONS: OperationView[] = [
  operation({ id: 'done', position: 0, group: 'a', status: 'COMPLETED' }),
  operation({ id: 'failed', position: 1, group: 'a', status: 'ERROR' }),
  operation({ id: 'second', position: 3, group: 'a', name: 'Second.bin' }),
  operation({ id: 'first', position: 2, group: 'a' })
];

describe('the rows', () => {
  const { store } = kernel({ operations: OPERATIONS, groups: [group({ name: 'a' }), group({ name: 'b' })] });

  it('have what moves first and what is over last', () => {
    assert.deepEqual(names(rowsOf([store], ALL)), ['[a]', 'first', 'second', 'failed', 'done', '[b]']);
  });

  it('are narrowed by a filter and by a search, and groups without a hit are left out', () => {
    assert.deepEqual(names(rowsOf([store], { ...ALL, filter: 'attention' })), ['[a]', 'failed']);
    assert.deepEqual(names(rowsOf([store], { ...ALL, search: 'second' })), ['[a]', 'second']);
    assert.deepEqual(names(rowsOf([store], { ...ALL, search: 'nowhere' })), []);
  });

  it('of a closed group are hidden', () => {
    const collapsed = new Set([groupKey('kernel', 'a')]);
    assert.deepEqual(names(rowsOf([store], { ...ALL, collapsed })), ['[a]', '[b]']);
  });

  it('stand under their kernel where there are several', () => {
    const other = kernel({ operations: [operation({ id: 'x' })] }, { id: 'other' }).store;
    assert.deepEqual(names(rowsOf([store, other], ALL)).slice(-3), ['#', '[]', 'x']);
  });
});

describe('the window', () => {
  it('holds every row that the viewport touches, and few more of ten thousand', () => {
    const operations = Array.from({ length: 10000 }, (_, index) => operation({ id: `${index}`, position: index }));
    const rows = rowsOf([kernel({ operations }).store], ALL);
    const offsets = offsetsOf(rows);
    for (const top of [0, 1, 4999, 123456, offsets[offsets.length - 1] ?? 0]) {
      const [first, last] = windowOf(offsets, top, 600, 0);
      assert.ok((offsets[first] ?? 0) <= top);
      assert.ok(last === rows.length || (offsets[last] ?? 0) > top + 600);
      assert.ok(last - first <= 600 / ROW_HEIGHTS.operation + 2);
    }
  });

  it('of nothing is empty', () => {
    assert.deepEqual(windowOf([0], 0, 600), [0, 0]);
  });
});
