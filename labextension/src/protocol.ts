/**
 * The wire between the kernel and the lab extension, as types, and the door through which a message comes in.
 *
 * One comm of target `bgdl_jupyter` per kernel, opened by the kernel. The lab sends `{verb: "subscribe"}` and is sent
 * a snapshot in parts, then what changed and what was removed, at most four times a second. Every message has an
 * example in `tests/data/wire.json`, which the Python tests check too.
 */

export const COMM_TARGET = 'bgdl_jupyter';
export const VERSION = 1;

/** The most operations, groups or alerts that one message may carry; a longer one is refused. */
export const MAX_ITEMS = 20000;

const STATUSES = [
  'IDLE',
  'RUNNING',
  'PAUSED_BY_APPLICATION',
  'PAUSED_COSTED_NETWORK',
  'PAUSED_NO_NETWORK',
  'COMPLETED',
  'CANCELED',
  'ERROR',
  'PAUSED_RECOVERABLE_WEB_ERROR_STATUS',
  'PAUSED_SYSTEM_POLICY'
] as const;

const ACTIVITIES = ['NONE', 'QUEUED', 'CONNECTING', 'DOWNLOADING', 'BACKING_OFF', 'VERIFYING', 'COMMITTING'] as const;
const FOLLOWING = ['waiting', 'running', 'done', 'failed', 'canceled'] as const;
const STEPS = ['pause', 'resume', 'cancel', 'retry', 'clear'] as const;
const ALERT_KINDS = ['success', 'failure', 'warning'] as const;
const WORST = ['ok', 'paused', 'error'] as const;

export type Status = (typeof STATUSES)[number];
export type Activity = (typeof ACTIVITIES)[number];
/** A verb that acts on an operation or a group. */
export type Step = (typeof STEPS)[number];
export type AlertKind = (typeof ALERT_KINDS)[number];
export type Worst = (typeof WORST)[number];

/** What follows a file that is there, such as unpacking it. */
export interface PostProcessingView {
  readonly state: (typeof FOLLOWING)[number];
  /** How far it is, in words; empty when it is over. */
  readonly text: string;
  /** Between 0 and 1. */
  readonly fraction: number | null;
}

/** One operation as the kernel shows it: no URL, no secret. Bytes; bytes per second; seconds. */
export interface OperationView {
  readonly id: string;
  readonly name: string;
  /** The name of the group; empty for an operation in no group. */
  readonly group: string;
  readonly status: Status;
  readonly activity: Activity;
  /** Why it does not move, in words; may be empty. */
  readonly reason: string;
  readonly received: number;
  readonly total: number | null;
  readonly rate: number;
  readonly eta: number | null;
  /** Between 0 and 1. */
  readonly fraction: number | null;
  readonly allowed: readonly Step[];
  readonly priority: string;
  readonly error: string | null;
  /** Where the finished file is, relative to the server's root, if the kernel knows. */
  readonly path: string | null;
  readonly position: number;
  readonly integrity: string | null;
  /** Null where nothing follows the file; a kernel with an older package does not speak of it. */
  readonly post_processing: PostProcessingView | null;
}

export interface GroupCounts {
  readonly total: number;
  readonly running: number;
  readonly queued: number;
  readonly paused: number;
  readonly completed: number;
  readonly failed: number;
  readonly canceled: number;
}

/** One group; the operations in no group make the group with the empty name. */
export interface GroupView {
  readonly name: string;
  readonly behavior: string;
  readonly counts: GroupCounts;
  readonly received: number;
  readonly total: number | null;
  readonly rate: number;
  readonly eta: number | null;
  readonly fraction: number | null;
  readonly allowed: readonly Step[];
}

/** A batch ended, or something needs a person. Plain text. */
export interface AlertView {
  readonly id: string;
  readonly kind: AlertKind;
  readonly title: string;
  readonly body: string;
  readonly tag: string | null;
  readonly group: string | null;
  readonly while_away: boolean;
  /** Goes to the notification centre without a popup. */
  readonly quiet: boolean;
}

export interface Totals {
  readonly active: number;
  readonly queued: number;
  readonly failed: number;
  readonly rate: number;
  readonly worst: Worst;
}

export interface KernelView {
  readonly id: string;
  readonly loop: string;
  /** The subshell on which the kernel takes commands while a cell runs, if it has one. */
  readonly subshell: string | null;
}

export interface Snapshot {
  readonly type: 'snapshot';
  readonly version: number;
  readonly application: string;
  readonly kernel: KernelView;
  readonly part: number;
  readonly parts: number;
  readonly operations: readonly OperationView[];
  readonly groups: readonly GroupView[];
  readonly alerts: readonly AlertView[];
  readonly totals: Totals;
  readonly settings: { readonly toasts: boolean };
}

export interface Changed {
  readonly type: 'changed';
  readonly operations: readonly OperationView[];
  readonly groups: readonly GroupView[];
  readonly alerts: readonly AlertView[];
  readonly totals: Totals;
}

/** What is no longer there, by id; groups by name. */
export interface Removed {
  readonly type: 'removed';
  readonly operations: readonly string[];
  readonly groups: readonly string[];
  readonly alerts: readonly string[];
}

export type KernelMessage = Snapshot | Changed | Removed;

/**
 * What the lab says; nothing else is understood. `dismiss` names an alert by its id; `allow_toasts` and `refuse_toasts`
 * tell whether the user's settings and the browser let anything pop up.
 */
export type Command =
  | { readonly verb: 'subscribe' }
  | { readonly verb: 'restore' }
  | { readonly verb: 'allow_toasts' | 'refuse_toasts' }
  | { readonly verb: 'dismiss'; readonly operation_id: string }
  | { readonly verb: Step; readonly operation_id: string }
  | { readonly verb: Step; readonly group: string };

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
