/**
 * What the user chose in JupyterLab's settings.
 */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ISignal, Signal } from '@lumino/signaling';

import type { IPreferences } from './presenter';
import type { Place } from './toasts';

export interface IChoices extends IPreferences {
  readonly restoreAfterRestart: boolean;
  readonly titleBadge: boolean;
}

export type Choice = keyof IChoices;

const DEFAULTS: IChoices = {
  progress: 'toast',
  alerts: 'toast',
  browserNotifications: false,
  restoreAfterRestart: true,
  titleBadge: true
};

/** The settings, or the defaults where the page has no registry. */
export class Settings {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get choices(): IChoices {
    return this._choices;
  }

  /** Follow what the registry has. */
  follow(settings: ISettingRegistry.ISettings): void {
    this._settings = settings;
    const read = (): void => {
      this._choices = choicesOf(settings.composite);
      this._changed.emit();
    };
    settings.changed.connect(read);
    read();
  }

  async set(choice: Choice, value: boolean | string): Promise<void> {
    if (this._settings === null) {
      this._choices = choicesOf({ ...this._choices, [choice]: value });
      this._changed.emit();
    } else {
      await this._settings.set(choice, value);
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _choices = DEFAULTS;
  private _settings: ISettingRegistry.ISettings | null = null;
}

function choicesOf(fields: Readonly<Record<string, unknown>>): IChoices {
  return {
    progress: placeOf(fields.progress, DEFAULTS.progress),
    alerts: placeOf(fields.alerts, DEFAULTS.alerts),
    browserNotifications: flagOf(fields.browserNotifications, DEFAULTS.browserNotifications),
    restoreAfterRestart: flagOf(fields.restoreAfterRestart, DEFAULTS.restoreAfterRestart),
    titleBadge: flagOf(fields.titleBadge, DEFAULTS.titleBadge)
  };
}

function placeOf(value: unknown, otherwise: Place): Place {
  return value === 'toast' || value === 'center' || value === 'off' ? value : otherwise;
}

function flagOf(value: unknown, otherwise: boolean): boolean {
  return typeof value === 'boolean' ? value : otherwise;
}
