/**
 * Values for the tests: the shared examples of the wire, and views with what a test does not care about filled in.
 */

import { readFileSync } from 'fs';
import { join } from 'path';

import type { Translations } from '../src/format';
import { KernelDownloads } from '../src/kernelDownloads';
import type { AlertView, Changed, Command, GroupView, OperationView, Snapshot, Totals } from '../src/protocol';

interface IWire {
  readonly target: string;
  readonly version: number;
  readonly from_kernel: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly from_lab: Readonly<Record<string, Command>>;
  readonly refused_by_lab: Readonly<Record<string, unknown>>;
}

/** The tests run from `build-tests/tests`. */
export const wire = JSON.parse(
  readFileSync(join(__dirname, '../../../tests/data/wire.json'), { encoding: 'utf-8' })
) as IWire;

const substitute = (text: string, values: readonly (string | number)[]): string =>
  values.reduce<string>((result, value, index) => result.split(`%${index + 1}`).join(`${value}`), text);

export const trans: Translations = {
  __: (text, ...values) => substitute(text, values),
  _n: (singular, plural, n, ...values) => substitute(n === 1 ? singular : plural, [n, ...values])
};

export function operation(fields: Partial<OperationView> = {}): OperationView {
  return {
    id: 'one',
    name: 'one.bin',
    group: '',
    status: 'RUNNING',
    activity: 'DOWNLOADING',
    reason: '',
    received: 0,
    total: 1000,
    rate: 0,
    eta: null,
    fraction: 0,
    allowed: [],
    priority: 'DEFAULT',
    error: null,
    path: null,
    position: 0,
    integrity: null,
    post_processing: null,
    ...fields
  };
}

export function group(fields: Partial<Omit<GroupView, 'counts'>> & { counts?: Partial<GroupView['counts']> }): GroupView {
  const { counts, ...others } = fields;
  return {
    name: 'data',
    behavior: 'PARALLEL',
    received: 0,
    total: null,
    rate: 0,
    eta: null,
    fraction: null,
    allowed: [],
    ...others,
    counts: { total: 1, running: 0, queued: 0, paused: 0, completed: 0, failed: 0, canceled: 0, ...counts }
  };
}

export function alert(fields: Partial<AlertView> = {}): AlertView {
  return {
    id: 'batch',
    kind: 'success',
    title: 'Done',
    body: '',
    tag: null,
    group: null,
    while_away: false,
    quiet: false,
    ...fields
  };
}

export function totals(fields: Partial<Totals> = {}): Totals {
  return { active: 0, queued: 0, failed: 0, rate: 0, worst: 'ok', ...fields };
}

export function snapshot(fields: Partial<Snapshot> = {}): Snapshot {
  return {
    type: 'snapshot',
    version: 1,
    application: '/notebook.ipynb',
    kernel: { id: 'kernel', loop: 'subshell', subshell: null },
    part: 1,
    parts: 1,
    operations: [],
    groups: [],
    alerts: [],
    totals: totals(),
    settings: { toasts: true },
    ...fields
  };
}

export function changed(fields: Partial<Changed> = {}): Changed {
  return { type: 'changed', operations: [], groups: [], alerts: [], totals: totals(), ...fields };
}

/** A kernel that has said something, and what it was told. */
export function kernel(
  fields: Partial<Snapshot> = {},
  options: { id?: string; now?: () => number } = {}
): { store: KernelDownloads; sent: Command[] } {
  const sent: Command[] = [];
  const kernelId = options.id ?? 'kernel';
  const store = new KernelDownloads({
    kernelId,
    label: `${kernelId}.ipynb`,
    send: command => sent.push(command),
    now: options.now
  });
  store.apply(snapshot(fields));
  return { store, sent };
}
