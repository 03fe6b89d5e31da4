/**
 * The side panel: every download of every running kernel of the user.
 */

import { ReactWidget } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { formatRate, Translations } from './format';
import { downloadsIcon } from './icons';
import { List } from './list';
import type { KernelDownloads } from './kernelDownloads';
import type { Downloads } from './model';
import { RatePlot } from './operationRow';
import type { AlertView } from './protocol';
import { Filter, FILTERS, ISelection, Row, rowsOf } from './rows';

export interface IPanelCommand {
  readonly id: string;
  readonly label: string;
}

/** The widget in JupyterLab's side area. */
export class DownloadsPanel extends ReactWidget {
  constructor(private readonly _options: DownloadsPanel.IOptions) {
    super();
    this.id = 'bgdl-downloads';
    this.addClass('bgdl-Panel');
    this.title.icon = downloadsIcon;
    this.title.caption = _options.trans.__('Downloads');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', _options.trans.__('Downloads'));
    this._ticker = new Ticker(_options.downloads.changed, () => this.isVisible);
  }

  override dispose(): void {
    this._ticker.dispose();
    super.dispose();
  }

  protected override onAfterShow(): void {
    this._options.onShow();
    this._ticker.tick();
  }

  protected override render(): JSX.Element {
    return <PanelView {...this._options} ticker={this._ticker} />;
  }

  private readonly _ticker: Ticker;
}

export namespace DownloadsPanel {
  export interface IOptions {
    readonly downloads: Downloads;
    readonly trans: Translations;
    readonly commands: CommandRegistry;
    /** The commands of the toolbar that this page has. */
    readonly toolbar: readonly IPanelCommand[];
    readonly onShow: () => void;
  }
}

/** Turns a flood of changes into one drawing a frame, and none while nobody looks. */
class Ticker {
  constructor(
    private readonly _source: ISignal<Downloads, void>,
    private readonly _isWatched: () => boolean
  ) {
    _source.connect(this._request, this);
  }

  readonly ticked = new Signal<this, void>(this);

  tick(): void {
    this.ticked.emit();
  }

  dispose(): void {
    this._source.disconnect(this._request, this);
    cancelAnimationFrame(this._frame);
    Signal.clearData(this);
  }

  private _request(): void {
    if (this._frame === 0 && this._isWatched()) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this.tick();
      });
    }
  }

  private _frame = 0;
}

type ViewProps = DownloadsPanel.IOptions & { ticker: Ticker };

function PanelView(props: ViewProps): JSX.Element {
  const { downloads, trans, ticker } = props;
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  const [filter, setFilter] = React.useState<Filter>('all');
  const [search, setSearch] = React.useState('');
  const [collapsed, setCollapsed] = React.useState<ReadonlySet<string>>(new Set());
  React.useEffect(() => {
    ticker.ticked.connect(redraw);
    return () => {
      ticker.ticked.disconnect(redraw);
    };
  }, [ticker]);

  const rows = useRows(downloads.kernels, { filter, search, collapsed });
  const toggle = React.useCallback((key: string): void => {
    setCollapsed(before => {
      const after = new Set(before);
      if (!after.delete(key)) {
        after.add(key);
      }
      return after;
    });
  }, []);
  return (
    <div className="bgdl-Panel-view">
      <Header {...props} />
      <div className="bgdl-Panel-find">
        <input
          className="bgdl-Panel-search"
          type="search"
          value={search}
          placeholder={trans.__('Search')}
          aria-label={trans.__('Search downloads')}
          onChange={event => setSearch(event.target.value)}
        />
        <select
          className="bgdl-Panel-filter"
          value={filter}
          aria-label={trans.__('Which downloads to show')}
          onChange={event => setFilter(FILTERS.find(each => each === event.target.value) ?? 'all')}
        >
          {FILTERS.map(each => (
            <option key={each} value={each}>
              {filterLabel(each, trans)}
            </option>
          ))}
        </select>
      </div>
      <Alerts {...props} />
      {rows.length === 0 ? (
        <Empty trans={trans} isNarrowed={filter !== 'all' || search !== ''} />
      ) : (
        <List rows={rows} collapsed={collapsed} trans={trans} onToggle={toggle} />
      )}
      <Announcement {...props} />
    </div>
  );
}

/** The rows, made anew only when some come, go or move. */
function useRows(kernels: readonly KernelDownloads[], selection: ISelection): Row[] {
  const revision = kernels.map(each => `${each.kernelId}:${each.orderRevision}`).join(' ');
  const { filter, search, collapsed } = selection;
  return React.useMemo(() => rowsOf(kernels, selection), [revision, filter, search, collapsed]);
}

function Header({ downloads, trans, commands, toolbar }: ViewProps): JSX.Element {
  const totals = downloads.totals;
  return (
    <div className="bgdl-Panel-header">
      <div className="bgdl-Panel-totals">
        <span className="bgdl-Panel-rate">{formatRate(totals.rate)}</span>
        <RatePlot
          className="bgdl-mod-wide"
          samples={downloads.history.samples}
          label={trans.__('Rate of the last minute, now %1', formatRate(totals.rate))}
        />
      </div>
      <div className="bgdl-Panel-counts">
        {[
          trans.__('%1 active', totals.active),
          totals.queued > 0 ? trans.__('%1 queued', totals.queued.toLocaleString()) : '',
          totals.failed > 0 ? trans._n('%1 failed', '%1 failed', totals.failed) : ''
        ]
          .filter(each => each !== '')
          .join(' · ')}
      </div>
      <div className="bgdl-Panel-toolbar" role="toolbar" aria-label={trans.__('Downloads')}>
        {toolbar.map(({ id, label }) => {
          const Icon = commands.icon(id);
          return (
            <button
              key={id}
              className="bgdl-Panel-button"
              title={commands.caption(id) || commands.label(id)}
              disabled={!commands.isEnabled(id)}
              onClick={() => void commands.execute(id)}
            >
              {typeof Icon === 'object' && Icon !== null && 'react' in Icon ? <IconOf icon={Icon} /> : null}
              <span>{label}</span>
            </button>
          );
        })}
      </div>
    </div>
  );
}

function IconOf({ icon }: { icon: unknown }): JSX.Element {
  const Icon = (icon as typeof downloadsIcon).react;
  return <Icon tag="span" width="14px" height="14px" />;
}

function Alerts({ downloads, trans }: ViewProps): JSX.Element | null {
  const alerts = downloads.kernels.flatMap(kernel => [...kernel.alerts.values()].map(alert => ({ kernel, alert })));
  const recent = alerts.slice(-MAX_ALERTS);
  if (recent.length === 0) {
    return null;
  }
  return (
    <ul className="bgdl-Alerts" aria-label={trans.__('Alerts')}>
      {recent.reverse().map(({ kernel, alert }) => (
        <li key={`${kernel.kernelId}/${alert.id}`} className={`bgdl-Alert bgdl-mod-${alert.kind}`}>
          <div className="bgdl-Alert-text">
            <strong>{alert.title}</strong> <span>{alert.body}</span>
          </div>
          <button
            className="bgdl-Step"
            title={trans.__('Dismiss')}
            aria-label={trans.__('Dismiss %1', alert.title)}
            onClick={() => kernel.send({ verb: 'dismiss', operation_id: alert.id })}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

const MAX_ALERTS = 3;

function Empty({ trans, isNarrowed }: { trans: Translations; isNarrowed: boolean }): JSX.Element {
  return (
    <div className="bgdl-Empty">
      {isNarrowed ? (
        <p>{trans.__('No download matches.')}</p>
      ) : (
        <>
          <p>{trans.__('No downloads yet.')}</p>
          <p>
            {trans.__('Load the extension in a notebook:')} <code>%load_ext bgdl_jupyter</code>
          </p>
        </>
      )}
    </div>
  );
}

/** Says what ended to those who listen. */
function Announcement({ downloads }: ViewProps): JSX.Element {
  const [said, say] = React.useState('');
  React.useEffect(() => {
    const onAlert = (_: Downloads, { alert }: { alert: AlertView }): void => say(`${alert.title} ${alert.body}`);
    downloads.alerted.connect(onAlert);
    return () => {
      downloads.alerted.disconnect(onAlert);
    };
  }, [downloads]);
  return (
    <div className="bgdl-Announcement" role="status" aria-live="polite">
      {said}
    </div>
  );
}

function filterLabel(filter: Filter, trans: Translations): string {
  switch (filter) {
    case 'all':
      return trans.__('All');
    case 'live':
      return trans.__('Under way');
    case 'attention':
      return trans.__('Needs attention');
    case 'done':
      return trans.__('Over');
  }
}
