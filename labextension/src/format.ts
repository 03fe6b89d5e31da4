/**
 * Numbers and states in words: decimal units, few digits, no jumping.
 */

import type { GroupView, OperationView, PostProcessingView, Totals } from './protocol';

/** What we need of JupyterLab's translations. */
export interface Translations {
  __(text: string, ...values: (string | number)[]): string;
  _n(singular: string, plural: string, n: number, ...values: (string | number)[]): string;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** Three significant digits in decimal units: 999 B, 1.50 kB, 42.0 MB, 118 GB. */
export function formatBytes(bytes: number): string {
  const [amount, unit] = scale(bytes);
  return `${amount} ${unit}`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** "12.3 of 98.1 MB"; the first unit is left out where it is the second's. */
export function formatProgress(received: number, total: number | null, trans: Translations): string {
  if (total === null) {
    return formatBytes(received);
  }
  const [amount, unit] = scale(received);
  const [whole, wholeUnit] = scale(total);
  return unit === wholeUnit
    ? trans.__('%1 of %2', amount, `${whole} ${wholeUnit}`)
    : trans.__('%1 of %2', `${amount} ${unit}`, `${whole} ${wholeUnit}`);
}

/** Seconds as the notebook has them, in the least room: "12 s", "3:20", "1:05:00", "2 d 4 h". */
export function formatDuration(seconds: number, trans: Translations): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) {
    return trans.__('%1 s', whole);
  }
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (hours < 1) {
    return `${minutes}:${twoDigits(whole % 60)}`;
  }
  return hours < 48
    ? `${hours}:${twoDigits(minutes % 60)}:${twoDigits(whole % 60)}`
    : trans.__('%1 d %2 h', Math.floor(hours / 24), hours % 24);
}

export function formatPercent(fraction: number): string {
  // Rounded down: 100 % means done.
  return `${Math.floor(fraction * 100)} %`;
}

/** The line under the name: how far it is, or why it does not move. */
export function describeOperation(operation: OperationView, trans: Translations): string {
  switch (stateOf(operation)) {
    case 'done':
      return operation.total === null && operation.received === 0
        ? trans.__('Done')
        : trans.__('Done · %1', formatBytes(operation.total ?? operation.received));
    case 'failed':
      return operation.error ?? operation.reason;
    case 'moving':
      if (operation.post_processing !== null) {
        return operation.post_processing.text;
      }
      return join(
        formatProgress(operation.received, operation.total, trans),
        formatRate(operation.rate),
        remaining(operation.eta, trans)
      );
    default:
      return join(
        operation.reason || operation.post_processing?.text || statusWords(operation, trans),
        operation.received > 0 ? formatProgress(operation.received, operation.total, trans) : ''
      );
  }
}

/** The line under a group's name. */
export function describeGroup(group: GroupView, trans: Translations): string {
  const { counts } = group;
  const live = counts.running > 0;
  return join(
    formatProgress(group.received, group.total, trans),
    live ? formatRate(group.rate) : '',
    live ? remaining(group.eta, trans) : '',
    counts.failed > 0 ? trans._n('%1 failed', '%1 failed', counts.failed) : '',
    counts.paused > 0 && !live ? trans._n('%1 paused', '%1 paused', counts.paused) : ''
  );
}

/** How far the bar of an operation is: of its file, or of what follows it. */
export function fractionOf(operation: OperationView): number | null {
  return operation.status === 'COMPLETED' && operation.post_processing !== null
    ? operation.post_processing.fraction
    : operation.fraction;
}

/** How many files of a group are there: "3 of 12". */
export function describeCount({ counts }: GroupView, trans: Translations): string {
  return trans.__('%1 of %2', counts.completed.toLocaleString(), counts.total.toLocaleString());
}

/** The text of the status bar: "3 ↓ 42.0 MB/s", or what stands still; empty when there is nothing to say. */
export function describeTotals(totals: Totals, trans: Translations): string {
  if (totals.active > 0) {
    return `${totals.active} ↓ ${formatRate(totals.rate)}`;
  }
  if (totals.worst === 'error' && totals.failed > 0) {
    return trans._n('%1 failed', '%1 failed', totals.failed);
  }
  if (totals.worst === 'paused') {
    return trans.__('paused');
  }
  return totals.queued > 0 ? trans.__('%1 queued', totals.queued) : '';
}

export function groupTitle(name: string, trans: Translations): string {
  return name === '' ? trans.__('Downloads') : name;
}

/** What a person tells apart at a glance. */
export type State = 'moving' | 'waiting' | 'paused' | 'failed' | 'done' | 'canceled';

const STATES: Readonly<Record<OperationView['status'], State>> = {
  IDLE: 'waiting',
  RUNNING: 'moving',
  PAUSED_BY_APPLICATION: 'paused',
  PAUSED_COSTED_NETWORK: 'paused',
  PAUSED_NO_NETWORK: 'paused',
  PAUSED_RECOVERABLE_WEB_ERROR_STATUS: 'paused',
  PAUSED_SYSTEM_POLICY: 'paused',
  COMPLETED: 'done',
  CANCELED: 'canceled',
  ERROR: 'failed'
};

const FOLLOWING: Readonly<Record<PostProcessingView['state'], State>> = {
  waiting: 'waiting',
  running: 'moving',
  done: 'done',
  failed: 'failed',
  canceled: 'canceled'
};

export function stateOf(operation: Pick<OperationView, 'status' | 'activity' | 'post_processing'>): State {
  const state = STATES[operation.status];
  if (state === 'done' && operation.post_processing !== null) {
    return FOLLOWING[operation.post_processing.state];
  }
  return state === 'moving' && operation.activity !== 'DOWNLOADING' ? 'waiting' : state;
}

function statusWords(operation: OperationView, trans: Translations): string {
  switch (stateOf(operation)) {
    case 'paused':
      return trans.__('Paused');
    case 'canceled':
      return trans.__('Canceled');
    default:
      return activityWords(operation, trans);
  }
}

function activityWords(operation: OperationView, trans: Translations): string {
  switch (operation.activity) {
    case 'CONNECTING':
      return trans.__('Connecting…');
    case 'BACKING_OFF':
      return trans.__('Waiting to try again…');
    case 'VERIFYING':
      return trans.__('Verifying…');
    case 'COMMITTING':
      return trans.__('Saving…');
    case 'QUEUED':
      return trans.__('Queued');
    default:
      return trans.__('Not started');
  }
}

function remaining(eta: number | null, trans: Translations): string {
  return eta === null ? '' : trans.__('%1 left', formatDuration(eta, trans));
}

function join(...parts: string[]): string {
  return parts.filter(each => each !== '').join(' · ');
}

function twoDigits(count: number): string {
  return `${count}`.padStart(2, '0');
}

function scale(bytes: number): [string, string] {
  let exponent = 0;
  let amount = bytes;
  // 999.5 would be shown as "1000".
  while (amount >= 999.5 && exponent < UNITS.length - 1) {
    amount /= 1000;
    exponent += 1;
  }
  const unit = UNITS[exponent] ?? 'B';
  return [exponent === 0 ? `${Math.round(amount)}` : threeDigits(amount), unit];
}

function threeDigits(amount: number): string {
  if (amount >= 99.95) {
    return amount.toFixed(0);
  }
  return amount >= 9.995 ? amount.toFixed(1) : amount.toFixed(2);
}
