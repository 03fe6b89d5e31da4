/**
 * From the model to a flat list of rows, and from the scroll position to the few that are on screen.
 */

import { State, stateOf } from './format';
import type { KernelDownloads } from './kernelDownloads';
import type { OperationView } from './protocol';

export type Row =
  | { readonly kind: 'kernel'; readonly key: string; readonly kernel: KernelDownloads }
  | { readonly kind: 'group'; readonly key: string; readonly kernel: KernelDownloads; readonly group: string }
  | {
      readonly kind: 'operation';
      readonly key: string;
      readonly kernel: KernelDownloads;
      readonly group: string;
      readonly operationId: string;
    };

export const FILTERS = ['all', 'live', 'attention', 'done'] as const;
export type Filter = (typeof FILTERS)[number];

/** Pixels; `style/base.css` has the same. */
export const ROW_HEIGHTS: Readonly<Record<Row['kind'], number>> = { kernel: 28, group: 66, operation: 50 };

export interface ISelection {
  readonly filter: Filter;
  readonly search: string;
  /** The keys of groups whose operations are hidden. */
  readonly collapsed: ReadonlySet<string>;
}

const SHOWN: Readonly<Record<Filter, readonly State[]>> = {
  all: ['moving', 'waiting', 'paused', 'failed', 'done', 'canceled'],
  live: ['moving', 'waiting', 'paused'],
  attention: ['paused', 'failed'],
  done: ['done', 'canceled']
};

/** What moves first, then what may need a person, then what waits, then what is over. */
const PLACE: Readonly<Record<State, number>> = { moving: 0, failed: 1, paused: 2, waiting: 3, done: 4, canceled: 5 };

/** Return the rows to show, top to bottom. Kernels get a heading only where there are several. */
export function rowsOf(kernels: readonly KernelDownloads[], selection: ISelection): Row[] {
  const shown = kernels.filter(each => each.operations.size > 0 || each.groups.size > 0);
  return shown.flatMap(kernel => {
    const rows = kernelRows(kernel, selection);
    return shown.length > 1 && rows.length > 0
      ? [{ kind: 'kernel' as const, key: kernel.kernelId, kernel }, ...rows]
      : rows;
  });
}

export function groupKey(kernelId: string, group: string): string {
  return `${kernelId}/group/${group}`;
}

function kernelRows(kernel: KernelDownloads, selection: ISelection): Row[] {
  const found = new Map<string, OperationView[]>();
  kernel.groups.forEach((_, name) => found.set(name, []));
  const states = new Set(SHOWN[selection.filter]);
  const search = selection.search.trim().toLowerCase();
  kernel.operations.forEach(each => {
    if (states.has(stateOf(each)) && matches(each, search)) {
      const operations = found.get(each.group);
      operations === undefined ? found.set(each.group, [each]) : operations.push(each);
    }
  });
  const isNarrowed = selection.filter !== 'all' || search !== '';
  return [...found]
    .filter(([, operations]) => operations.length > 0 || !isNarrowed)
    .flatMap(([name, operations]) => groupRows(kernel, name, operations, selection));
}

function groupRows(kernel: KernelDownloads, group: string, operations: OperationView[], selection: ISelection): Row[] {
  const key = groupKey(kernel.kernelId, group);
  const heading: Row = { kind: 'group', key, kernel, group };
  if (selection.collapsed.has(key)) {
    return [heading];
  }
  operations.sort((left, right) => PLACE[stateOf(left)] - PLACE[stateOf(right)] || left.position - right.position);
  return [
    heading,
    ...operations.map(each => ({
      kind: 'operation' as const,
      key: `${kernel.kernelId}/operation/${each.id}`,
      kernel,
      group,
      operationId: each.id
    }))
  ];
}

function matches(operation: OperationView, search: string): boolean {
  return search === '' || `${operation.group}/${operation.name}`.toLowerCase().includes(search);
}

/** Return where each row begins, and at the end where the last one ends. */
export function offsetsOf(rows: readonly Row[]): number[] {
  const offsets = [0];
  let end = 0;
  for (const row of rows) {
    end += ROW_HEIGHTS[row.kind];
    offsets.push(end);
  }
  return offsets;
}

/** Return the half-open range of rows that a viewport touches, with some more on both sides. */
export function windowOf(offsets: readonly number[], top: number, height: number, more = 6): [number, number] {
  const last = offsets.length - 1;
  const first = rowAt(offsets, top);
  const end = rowAt(offsets, top + height) + 1;
  return [Math.max(0, first - more), Math.min(last, end + more)];
}

/** Return the index of the row at a position, by bisection. */
function rowAt(offsets: readonly number[], position: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((offsets[middle] ?? 0) <= position) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}
