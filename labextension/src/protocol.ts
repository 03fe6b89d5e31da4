/**
 * The wire between the kernel and the lab extension, as types; `parsing` is the door through which a message comes in.
 *
 * One comm of target `bgdl_jupyter` per kernel, opened by the kernel. The lab sends `{verb: "subscribe"}` and is sent
 * a snapshot in parts, then what changed and what was removed, at most four times a second. Every message has an
 * example in `tests/data/wire.json`, which the Python tests check too.
 */

export const COMM_TARGET = 'bgdl_jupyter';
export const VERSION = 1;

export const STATUSES = [
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

export const ACTIVITIES = ['NONE', 'QUEUED', 'CONNECTING', 'DOWNLOADING', 'BACKING_OFF', 'VERIFYING', 'COMMITTING'] as const;
export const FOLLOWING = ['waiting', 'running', 'done', 'failed', 'canceled'] as const;
export const STEPS = ['pause', 'resume', 'cancel', 'retry', 'clear'] as const;
export const ALERT_KINDS = ['success', 'failure', 'warning'] as const;
export const WORST = ['ok', 'paused', 'error'] as const;

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
