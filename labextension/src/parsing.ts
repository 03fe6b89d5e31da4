/**
 * The door through which a message comes in: what is not one of this protocol and version stays outside.
 */

import {
  ACTIVITIES,
  ALERT_KINDS,
  AlertView,
  FOLLOWING,
  GroupView,
  KernelMessage,
  OperationView,
  PostProcessingView,
  Snapshot,
  STATUSES,
  Step,
  STEPS,
  Totals,
  VERSION,
  WORST
} from './protocol';

/** The most operations, groups or alerts that one message may carry; a longer one is refused. */
export const MAX_ITEMS = 20000;

/**
 * Take in what came over the comm.
 *
 * Returns null for what is not a message of this protocol and version. Text is cleaned: characters that hide or
 * reorder others are replaced, and what is too long to be shown is cut.
 */
export function parseMessage(data: unknown): KernelMessage | null {
  try {
    const fields = record(data);
    switch (fields.type) {
      case 'snapshot':
        return snapshot(fields);
      case 'changed':
        return {
          type: 'changed',
          operations: list(fields.operations, operation),
          groups: list(fields.groups, group),
          alerts: list(fields.alerts, alert),
          totals: totals(fields.totals)
        };
      case 'removed':
        return {
          type: 'removed',
          operations: list(fields.operations, identifier),
          groups: list(fields.groups, identifier),
          alerts: list(fields.alerts, identifier)
        };
      default:
        return null;
    }
  } catch (error) {
    if (error instanceof Malformed) {
      return null;
    }
    throw error;
  }
}

class Malformed extends Error {}

function snapshot(fields: Fields): Snapshot {
  if (fields.version !== VERSION) {
    throw new Malformed('version');
  }
  const kernel = record(fields.kernel);
  const part = count(fields.part);
  const parts = count(fields.parts);
  if (part < 1 || part > parts) {
    throw new Malformed('part');
  }
  return {
    type: 'snapshot',
    version: VERSION,
    application: text(fields.application, 1000),
    kernel: {
      id: text(kernel.id, 200),
      loop: text(kernel.loop, 40),
      subshell: optional(kernel.subshell, identifier)
    },
    part,
    parts,
    operations: list(fields.operations, operation),
    groups: list(fields.groups, group),
    alerts: list(fields.alerts, alert),
    totals: totals(fields.totals),
    settings: { toasts: flag(record(fields.settings).toasts) }
  };
}

function operation(data: unknown): OperationView {
  const fields = record(data);
  return {
    id: identifier(fields.id),
    name: text(fields.name, 300),
    group: optional(fields.group, identifier) ?? '',
    status: oneOf(fields.status, STATUSES),
    activity: oneOf(fields.activity, ACTIVITIES),
    reason: optional(fields.reason, reason) ?? '',
    received: quantity(fields.received),
    total: optional(fields.total, quantity),
    rate: quantity(fields.rate),
    eta: optional(fields.eta, quantity),
    fraction: optional(fields.fraction, share),
    allowed: steps(fields.allowed),
    priority: text(fields.priority, 40),
    error: optional(fields.error, value => text(value, 2000)),
    path: optional(fields.path, value => text(value, 4096)),
    position: number(fields.position),
    integrity: optional(fields.integrity, value => text(value, 100)),
    post_processing: optional(fields.post_processing, postProcessing)
  };
}

function postProcessing(data: unknown): PostProcessingView {
  const fields = record(data);
  return {
    state: oneOf(fields.state, FOLLOWING),
    text: text(fields.text, 500),
    fraction: optional(fields.fraction, share)
  };
}

function group(data: unknown): GroupView {
  const fields = record(data);
  const counts = record(fields.counts);
  return {
    name: identifier(fields.name),
    behavior: text(fields.behavior, 40),
    counts: {
      total: count(counts.total),
      running: count(counts.running),
      queued: count(counts.queued),
      paused: count(counts.paused),
      completed: count(counts.completed),
      failed: count(counts.failed),
      canceled: count(counts.canceled)
    },
    received: quantity(fields.received),
    total: optional(fields.total, quantity),
    rate: quantity(fields.rate),
    eta: optional(fields.eta, quantity),
    fraction: optional(fields.fraction, share),
    allowed: steps(fields.allowed)
  };
}

function alert(data: unknown): AlertView {
  const fields = record(data);
  return {
    id: identifier(fields.id),
    kind: oneOf(fields.kind, ALERT_KINDS),
    title: text(fields.title, 200),
    body: text(fields.body, 500),
    tag: optional(fields.tag, identifier),
    group: optional(fields.group, identifier),
    while_away: flag(fields.while_away),
    quiet: flag(fields.quiet)
  };
}

function totals(data: unknown): Totals {
  const fields = record(data);
  return {
    active: count(fields.active),
    queued: count(fields.queued),
    failed: count(fields.failed),
    rate: quantity(fields.rate),
    worst: oneOf(fields.worst, WORST)
  };
}

type Fields = Readonly<Record<string, unknown>>;

function record(data: unknown): Fields {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new Malformed('record');
  }
  return data as Fields;
}

function list<T>(data: unknown, item: (each: unknown) => T): T[] {
  if (!Array.isArray(data) || data.length > MAX_ITEMS) {
    throw new Malformed('list');
  }
  return data.map(each => item(each));
}

function optional<T>(data: unknown, item: (each: unknown) => T): T | null {
  return data === null || data === undefined ? null : item(data);
}

function number(data: unknown): number {
  if (typeof data !== 'number' || !Number.isFinite(data)) {
    throw new Malformed('number');
  }
  return data;
}

function quantity(data: unknown): number {
  const value = number(data);
  if (value < 0) {
    throw new Malformed('quantity');
  }
  return value;
}

function count(data: unknown): number {
  const value = quantity(data);
  if (!Number.isInteger(value)) {
    throw new Malformed('count');
  }
  return value;
}

function share(data: unknown): number {
  return Math.min(1, quantity(data));
}

function flag(data: unknown): boolean {
  if (typeof data !== 'boolean') {
    throw new Malformed('flag');
  }
  return data;
}

function reason(data: unknown): string {
  return text(data, 500);
}

/** An id or a group's name: kept to the letter, since it is sent back. */
function identifier(data: unknown): string {
  if (typeof data !== 'string' || data.length > 1000) {
    throw new Malformed('identifier');
  }
  return data;
}

function text(data: unknown, length: number): string {
  if (typeof data !== 'string') {
    throw new Malformed('text');
  }
  const cut = data.length > length ? `${data.slice(0, length)}…` : data;
  return visible(cut);
}

// Line breaks and tabs become spaces. The other control characters, the marks that turn the direction of what follows
// ("gpj.exe" for "exe.jpg") and lone surrogates are shown as replacement characters.
const BREAKS = /[\t\n\v\f\r\u2028\u2029]+/g;
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])/g;

/** Return the text with characters that would hide or reorder others replaced. */
export function visible(value: string): string {
  return value.replace(BREAKS, ' ').replace(HIDDEN, '\ufffd');
}

function oneOf<T extends string>(data: unknown, values: readonly T[]): T {
  const found = values.find(each => each === data);
  if (found === undefined) {
    throw new Malformed('value');
  }
  return found;
}

/** The verbs we know; a kernel may come to allow more. */
function steps(data: unknown): Step[] {
  const names = list(data, identifier);
  return STEPS.filter(each => names.includes(each));
}
