/**
 * The item of the status bar: the tile. "3 ↓ 42.0 MB/s", coloured by the worst state; a click opens the panel.
 */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import * as React from 'react';

import { describeTotals, Translations } from './format';
import type { Downloads } from './model';

export class StatusItem extends ReactWidget {
  constructor(private readonly _options: StatusItem.IOptions) {
    super();
    this.addClass('bgdl-StatusItem');
  }

  protected override render(): JSX.Element {
    const { downloads, trans, onClick } = this._options;
    return (
      <UseSignal signal={downloads.changed}>
        {() => {
          const totals = downloads.totals;
          const text = describeTotals(totals, trans);
          return (
            <button
              className={`bgdl-StatusItem-button bgdl-mod-${totals.worst}`}
              title={trans.__('Show downloads')}
              onClick={onClick}
            >
              {text}
            </button>
          );
        }}
      </UseSignal>
    );
  }
}

export namespace StatusItem {
  export interface IOptions {
    readonly downloads: Downloads;
    readonly trans: Translations;
    readonly onClick: () => void;
  }
}
