/**
 * What is said in toasts, and how few of them.
 *
 * One notice for each group that runs, which becomes the notice of its end; when many groups run, the last notice
 * speaks for the rest. Alerts come one for each batch; when many batches end at once, one alert speaks for the rest.
 */

import { describeCount, formatDuration, formatPercent, formatProgress, formatRate, groupTitle, Translations } from './format';
import type { KernelDownloads } from './kernelDownloads';
import type { AlertView, GroupView, Step } from './protocol';

/** Where notices are shown. */
export type Place = 'toast' | 'center' | 'off';

export type NoticeType = 'in-progress' | 'success' | 'error' | 'warning' | 'info';
export type ActionKind = 'pause' | 'resume' | 'retry' | 'open' | 'panel';

/** The subject of a notice: a group of a kernel, or all that has no notice of its own. */
export interface ISubject {
  readonly kernelId: string | null;
  readonly group: string | null;
}

export interface INotice extends ISubject {
  readonly key: string;
  readonly type: NoticeType;
  readonly text: string;
  readonly actions: readonly ActionKind[];
}

/** JupyterLab shows no more of a message. */
export const MAX_LENGTH = 140;
/** The most notices of progress at a time. */
export const MAX_PROGRESS = 3;
/** A group that is done sooner is told of once, at its end; in milliseconds. */
export const SETTLING = 1500;
/** The most alerts in a toast of their own within `BURST` milliseconds. */
export const MAX_ALERTS = 3;
export const BURST = 10000;

const REST = 'rest';

export function noticeKey(kernelId: string, group: string): string {
  return `${kernelId}/${group}`;
}

/** When each group that is running was first seen to run, by the key of its notice; in milliseconds. */
export type RunningSince = ReadonlyMap<string, number>;

/** Return what has to be remembered of the running groups until the next look. */
export function runningSince(kernels: readonly KernelDownloads[], before: RunningSince, now: number): RunningSince {
  const since = new Map<string, number>();
  for (const { key } of runningGroups(kernels)) {
    since.set(key, before.get(key) ?? now);
  }
  return since;
}

/** Return the notices of progress that should be on show. */
export function progressNotices(
  kernels: readonly KernelDownloads[],
  since: RunningSince,
  now: number,
  trans: Translations
): INotice[] {
  const settled = runningGroups(kernels.filter(each => each.wantsToasts))
    .filter(({ key }) => now - (since.get(key) ?? now) >= SETTLING)
    .sort((left, right) => (since.get(left.key) ?? 0) - (since.get(right.key) ?? 0));
  if (settled.length <= MAX_PROGRESS) {
    return settled.map(each => groupNotice(each, kernels.length > 1, trans));
  }
  const own = settled.slice(0, MAX_PROGRESS - 1);
  const rest = settled.slice(MAX_PROGRESS - 1).map(each => each.group);
  return [...own.map(each => groupNotice(each, kernels.length > 1, trans)), restNotice(rest, trans)];
}

interface IRunningGroup {
  readonly key: string;
  readonly kernel: KernelDownloads;
  readonly group: GroupView;
}

function runningGroups(kernels: readonly KernelDownloads[]): IRunningGroup[] {
  return kernels.flatMap(kernel =>
    [...kernel.groups.values()]
      .filter(({ counts }) => counts.running > 0)
      .map(group => ({ key: noticeKey(kernel.kernelId, group.name), kernel, group }))
  );
}

function groupNotice(
  { key, kernel, group }: IRunningGroup,
  areSeveralKernels: boolean,
  trans: Translations
): INotice {
  const title = groupTitle(group.name, trans);
  const heading = areSeveralKernels ? `${title} · ${kernel.label}` : title;
  return {
    key,
    kernelId: kernel.kernelId,
    group: group.name,
    type: 'in-progress',
    text: clip(`${heading}\n${groupProgress(group, trans)}`),
    actions: allows(group, 'pause') ? ['pause', 'panel'] : ['panel']
  };
}

function groupProgress(group: GroupView, trans: Translations): string {
  const { counts } = group;
  return [
    group.fraction === null ? '' : formatPercent(group.fraction),
    counts.total > 1 ? trans.__('%1 files', describeCount(group, trans)) : '',
    formatProgress(group.received, group.total, trans),
    formatRate(group.rate),
    group.eta === null ? '' : trans.__('%1 left', formatDuration(group.eta, trans))
  ]
    .filter(each => each !== '')
    .join(' · ');
}

function restNotice(groups: readonly GroupView[], trans: Translations): INotice {
  const files = groups.reduce((total, each) => total + each.counts.total, 0);
  const completed = groups.reduce((total, each) => total + each.counts.completed, 0);
  const rate = groups.reduce((total, each) => total + each.rate, 0);
  const title = trans._n('%1 more group', '%1 more groups', groups.length);
  const progress = trans.__('%1 of %2 files', completed.toLocaleString(), files.toLocaleString());
  return {
    key: REST,
    kernelId: null,
    group: null,
    type: 'in-progress',
    text: clip(`${title}\n${progress} · ${formatRate(rate)}`),
    actions: ['panel']
  };
}

/** Return the notice of an alert, with what can be done about it. */
export function alertNotice(kernel: KernelDownloads, alert: AlertView, trans: Translations): INotice {
  const group = kernel.groups.get(alert.group ?? '');
  const title = alert.while_away ? trans.__('While you were away: %1', alert.title) : alert.title;
  return {
    key: alert.group === null ? `alert/${alert.id}` : noticeKey(kernel.kernelId, alert.group),
    kernelId: kernel.kernelId,
    group: alert.group,
    type: ({ success: 'success', failure: 'error', warning: 'warning' } as const)[alert.kind],
    text: clip(alert.body === '' ? title : `${title}\n${alert.body}`),
    actions: [
      ...(alert.kind === 'failure' && group && allows(group, 'retry') ? (['retry'] as const) : []),
      ...(alert.kind === 'success' && finishedPath(kernel, alert.group) !== null ? (['open'] as const) : []),
      'panel'
    ]
  };
}

/** Return the notice that speaks for alerts that came too fast for one each. */
export function burstNotice(counts: Readonly<Record<AlertView['kind'], number>>, trans: Translations): INotice {
  const parts = [
    counts.success > 0 ? trans._n('%1 more download finished', '%1 more downloads finished', counts.success) : '',
    counts.failure > 0 ? trans._n('%1 more failed', '%1 more failed', counts.failure) : '',
    counts.warning > 0 ? trans._n('%1 more warning', '%1 more warnings', counts.warning) : ''
  ];
  return {
    key: 'burst',
    kernelId: null,
    group: null,
    type: counts.failure > 0 ? 'error' : counts.warning > 0 ? 'warning' : 'success',
    text: clip(parts.filter(each => each !== '').join(' · ')),
    actions: ['panel']
  };
}

/** Return where the last finished file of a group is, if the kernel told. */
export function finishedPath(kernel: KernelDownloads, group: string | null): string | null {
  let found: string | null = null;
  kernel.operations.forEach(each => {
    if (each.group === (group ?? '') && each.status === 'COMPLETED' && each.path !== null) {
      found = each.path;
    }
  });
  return found;
}

/** Lets a few alerts through one by one and counts the rest, until there was quiet. */
export class AlertLimiter {
  /** Take in an alert; whether it gets a toast of its own. */
  admits(kind: AlertView['kind'], now: number): boolean {
    this._times = this._times.filter(each => now - each < BURST);
    if (this._times.length === 0) {
      this._held = { success: 0, failure: 0, warning: 0 };
    }
    this._times.push(now);
    if (this._times.length <= MAX_ALERTS) {
      return true;
    }
    this._held = { ...this._held, [kind]: this._held[kind] + 1 };
    return false;
  }

  /** How many of each kind got none. */
  get held(): Readonly<Record<AlertView['kind'], number>> {
    return this._held;
  }

  private _times: number[] = [];
  private _held: Readonly<Record<AlertView['kind'], number>> = { success: 0, failure: 0, warning: 0 };
}

function allows(group: GroupView, step: Step): boolean {
  return group.allowed.includes(step);
}

function clip(text: string): string {
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`;
}
