/**
 * JupyterLab's notifications, and the browser's, as a `Notifier`.
 */

import { Notification as LabNotification } from '@jupyterlab/apputils';

import type { Translations } from './format';
import type { Notifier, ShownAlerts } from './presenter';
import type { ActionKind, INotice, ISubject } from './toasts';

/** Milliseconds that the notice of a success stays. */
const SUCCESS_STAYS = 10000;

/** JupyterLab's notifications. Its actions are closures over what we know, never commands named by a kernel. */
export class LabNotifier implements Notifier {
  constructor(private readonly _options: LabNotifier.IOptions) {}

  show(notice: INotice, options: { popup: boolean }): string {
    return LabNotification.emit(notice.text, notice.type, this._present(notice, options.popup));
  }

  update(id: string, notice: INotice, options: { popup: boolean }): boolean {
    return LabNotification.update({
      id,
      message: notice.text,
      type: notice.type,
      ...this._present(notice, options.popup)
    });
  }

  dismiss(id: string): void {
    LabNotification.dismiss(id);
  }

  isClosed(id: string): boolean {
    // The popup of a notification bears its id.
    return document.getElementById(id) === null;
  }

  get canTell(): boolean {
    return canTell();
  }

  tell(title: string, body: string, tag: string): void {
    if (!document.hidden || !canTell()) {
      return;
    }
    const told = new Notification(title, { body, tag: `bgdl-${tag}` });
    told.onclick = () => {
      window.focus();
      this._options.act('panel', { kernelId: null, group: null });
      told.close();
    };
  }

  private _present(notice: INotice, popup: boolean): { autoClose: number | false; actions: LabNotification.IAction[] } {
    const shownFor = notice.type === 'success' ? SUCCESS_STAYS : false;
    return {
      // Zero keeps a notification in the centre.
      autoClose: popup ? shownFor : 0,
      actions: notice.actions
        .filter(kind => this._options.canAct(kind))
        .map(kind => ({
          label: this._label(kind),
          callback: () => this._options.act(kind, { kernelId: notice.kernelId, group: notice.group })
        }))
    };
  }

  private _label(kind: ActionKind): string {
    const { trans } = this._options;
    switch (kind) {
      case 'pause':
        return trans.__('Pause');
      case 'resume':
        return trans.__('Resume');
      case 'retry':
        return trans.__('Retry failed');
      case 'open':
        return trans.__('Show file');
      case 'panel':
        return trans.__('Show downloads');
    }
  }
}

export namespace LabNotifier {
  export interface IOptions {
    readonly trans: Translations;
    canAct(kind: ActionKind): boolean;
    act(kind: ActionKind, subject: ISubject): void;
  }
}

/** Whether the browser lets us tell something outside the page. */
function canTell(): boolean {
  return 'Notification' in window && Notification.permission === 'granted';
}

/** Ask the browser for the permission; only on a click, or the browser refuses. */
export async function askToTell(): Promise<boolean> {
  return 'Notification' in window && (await Notification.requestPermission()) === 'granted';
}

/** Alerts that were shown, in the storage of this browser. */
export class StoredAlerts implements ShownAlerts {
  constructor(private readonly _storage: Storage) {
    const stored = _storage.getItem(KEY);
    this._ids = parseIds(stored);
  }

  has(id: string): boolean {
    return this._ids.includes(id);
  }

  add(id: string): void {
    this._ids = [...this._ids, id].slice(-MAX_STORED);
    try {
      this._storage.setItem(KEY, JSON.stringify(this._ids));
    } catch (error) {
      // A full storage means that an alert may be shown again after a reload.
      console.debug('bgdl-jupyter: could not remember an alert.', error);
    }
  }

  private _ids: string[];
}

const KEY = 'bgdl-jupyter:shown-alerts';
const MAX_STORED = 500;

function parseIds(stored: string | null): string[] {
  try {
    const ids: unknown = JSON.parse(stored ?? '[]');
    return Array.isArray(ids) ? ids.filter((each): each is string => typeof each === 'string') : [];
  } catch {
    return [];
  }
}
