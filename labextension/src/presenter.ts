/**
 * Shows notices through JupyterLab's notifications and the browser's, and remembers which alerts were shown.
 */

import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { Translations } from './format';
import type { KernelDownloads } from './kernelDownloads';
import type { Downloads } from './model';
import type { AlertView } from './protocol';
import {
  AlertLimiter,
  alertNotice,
  burstNotice,
  INotice,
  Place,
  progressNotices,
  runningSince,
  RunningSince
} from './toasts';

/** A way to show notices: JupyterLab's in the lab, values in the tests. */
export interface Notifier {
  /** Show a notice; `popup` false puts it only in the notification centre. Returns its id. */
  show(notice: INotice, options: { popup: boolean }): string;
  /** Show another notice in the place of one that is there; false when it is not there any more. */
  update(id: string, notice: INotice, options: { popup: boolean }): boolean;
  dismiss(id: string): void;
  /** Whether somebody closed the popup. */
  isClosed(id: string): boolean;
  /** Whether the browser lets us tell something outside the page. */
  readonly canTell: boolean;
  /** Tell it outside the page. */
  tell(title: string, body: string, tag: string): void;
}

/** Remembers which alerts were shown, also after the page was loaded again. */
export interface ShownAlerts {
  has(id: string): boolean;
  add(id: string): void;
}

export interface IPreferences {
  readonly progress: Place;
  readonly alerts: Place;
  readonly browserNotifications: boolean;
}

interface IShown {
  readonly id: string;
  text: string;
  /** When its group was first seen not to run any more; null while it runs. */
  endedAt: number | null;
}

/** How long a notice of progress waits for the alert that may take its place, in milliseconds. */
export const PARTING = 2000;

/** Keeps what is shown equal to what should be. */
export class Presenter implements IDisposable {
  constructor(private readonly _options: Presenter.IOptions) {
    _options.downloads.alerted.connect(this._onAlert, this);
    _options.downloads.withdrawn.connect(this._onWithdrawn, this);
    _options.downloads.kernelReady.connect(this._onReady, this);
  }

  /** Whether something is on show that a refresh may have to change although nothing happens. */
  get isWaiting(): boolean {
    return this._progress.size > 0;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Bring the notices of progress up to date; to be called about once a second. */
  refresh(): void {
    const { downloads, preferences, trans } = this._options;
    const now = this._now();
    this._tellKernels();
    this._since = runningSince(downloads.kernels, this._since, now);
    const place = preferences().progress;
    const notices = place === 'off' ? [] : progressNotices(downloads.kernels, this._since, now, trans);
    const keys = new Set(notices.map(each => each.key));
    [...this._progress].filter(([key]) => !keys.has(key)).forEach(([key, shown]) => this._part(key, shown, now));
    notices.forEach(each => this._showProgress(each, place));
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this._options.downloads.alerted.disconnect(this._onAlert, this);
    this._options.downloads.kernelReady.disconnect(this._onReady, this);
    this._options.downloads.withdrawn.disconnect(this._onWithdrawn, this);
    [...this._progress.keys()].forEach(each => this._withdraw(each));
    Signal.clearData(this);
  }

  /** Let the kernels know when something may pop up that might not before, or the other way round. */
  private _tellKernels(): void {
    if (this._popsUp !== this._mayPopUp()) {
      this._popsUp = this._mayPopUp();
      this._options.downloads.kernels.forEach(each => this._tellKernel(each));
    }
  }

  private _onReady(_: Downloads, kernel: KernelDownloads): void {
    this._tellKernel(kernel);
  }

  private _tellKernel(kernel: KernelDownloads): void {
    kernel.send({ verb: this._popsUp ? 'allow_toasts' : 'refuse_toasts' });
  }

  /** Whether an alert may pop up: in the page, or at least outside of it. */
  private _mayPopUp(): boolean {
    const { alerts, browserNotifications } = this._options.preferences();
    return alerts === 'toast' || (alerts === 'center' && browserNotifications && this._options.notifier.canTell);
  }

  private _showProgress(notice: INotice, place: Place): void {
    const { notifier } = this._options;
    const shown = this._progress.get(notice.key);
    if (shown === undefined) {
      const id = notifier.show(notice, { popup: place === 'toast' });
      this._progress.set(notice.key, { id, text: notice.text, endedAt: null });
      return;
    }
    shown.endedAt = null;
    if (shown.text !== notice.text) {
      shown.text = notice.text;
      // A popup that somebody closed does not come back with the next number.
      const popup = place === 'toast' && !notifier.isClosed(shown.id);
      notifier.update(shown.id, notice, { popup });
    }
  }

  /** Take a notice of progress away; after its group's end some time later, as the end of a batch is told then. */
  private _part(key: string, shown: IShown, now: number): void {
    shown.endedAt ??= now;
    if (this._since.has(key) || now - shown.endedAt >= PARTING) {
      this._withdraw(key);
    }
  }

  private _withdraw(key: string): void {
    const shown = this._progress.get(key);
    this._progress.delete(key);
    if (shown !== undefined) {
      this._options.notifier.dismiss(shown.id);
    }
  }

  private _onAlert(_: Downloads, { kernel, alert }: KernelDownloads.IAlert): void {
    const { preferences, shown, trans } = this._options;
    const { alerts: place } = preferences();
    if (place === 'off' || !kernel.wantsToasts || shown.has(alert.id)) {
      return;
    }
    shown.add(alert.id);
    const popup = place === 'toast' && !alert.quiet;
    if (this._limiter.admits(alert.kind, this._now())) {
      this._alerts.set(alert.id, this._showAlert(alertNotice(kernel, alert, trans), popup));
    } else {
      this._showBurst(popup);
    }
    this._tell(alert);
  }

  /** What was said of a failure that is no more, or that somebody dismissed elsewhere, is on show no longer. */
  private _onWithdrawn(_: Downloads, alertId: string): void {
    const id = this._alerts.get(alertId);
    this._alerts.delete(alertId);
    if (id !== undefined) {
      this._options.notifier.dismiss(id);
    }
  }

  private _showAlert(notice: INotice, popup: boolean): string {
    const { notifier } = this._options;
    const running = this._progress.get(notice.key);
    this._progress.delete(notice.key);
    const isUpdated = running !== undefined && notifier.update(running.id, notice, { popup });
    return isUpdated ? running.id : notifier.show(notice, { popup });
  }

  private _showBurst(popup: boolean): void {
    const { notifier, trans } = this._options;
    const { held } = this._limiter;
    const notice = burstNotice(held, trans);
    if (held.success + held.failure + held.warning === 1) {
      // The notice of an earlier burst stays as it was.
      this._burstId = null;
    }
    if (this._burstId === null || !notifier.update(this._burstId, notice, { popup })) {
      this._burstId = notifier.show(notice, { popup });
    }
  }

  private _tell(alert: AlertView): void {
    if (this._options.preferences().browserNotifications && !alert.quiet) {
      this._options.notifier.tell(alert.title, alert.body, alert.id);
    }
  }

  private _now(): number {
    return (this._options.now ?? Date.now)();
  }

  private readonly _limiter = new AlertLimiter();
  private readonly _progress = new Map<string, IShown>();
  /** The notices of alerts, by the ids of the alerts. */
  private readonly _alerts = new Map<string, string>();
  private _since: RunningSince = new Map();
  private _burstId: string | null = null;
  /** What the kernels know of whether something may pop up. */
  private _popsUp = true;
  private _disposed = false;
}

export namespace Presenter {
  export interface IOptions {
    readonly downloads: Downloads;
    readonly notifier: Notifier;
    readonly shown: ShownAlerts;
    readonly preferences: () => IPreferences;
    readonly trans: Translations;
    /** Milliseconds; for tests. */
    readonly now?: () => number;
  }
}
