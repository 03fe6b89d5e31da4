/**
 * The number of running downloads in the title of the browser's tab.
 */

import type { IDisposable } from '@lumino/disposable';

const BADGE = /^\(\d+ ↓\) /;

/** Return the title with the number in front, or without one when nothing runs. */
export function badged(title: string, active: number): string {
  const plain = title.replace(BADGE, '');
  return active > 0 ? `(${active} ↓) ${plain}` : plain;
}

/** Keeps the badge when the lab itself sets another title. */
export class TitleBadge implements IDisposable {
  constructor() {
    const title = document.querySelector('title');
    if (title !== null) {
      this._observer.observe(title, { childList: true });
    }
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  show(active: number): void {
    this._active = active;
    this._write();
  }

  dispose(): void {
    this._disposed = true;
    this._observer.disconnect();
    document.title = badged(document.title, 0);
  }

  private _write(): void {
    const title = badged(document.title, this._active);
    // Setting it anew would call the observer again.
    if (title !== document.title) {
      document.title = title;
    }
  }

  private readonly _observer = new MutationObserver(() => this._write());
  private _active = 0;
  private _disposed = false;
}
