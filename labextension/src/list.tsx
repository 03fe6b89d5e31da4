/**
 * The list of the panel: it draws the rows on screen and a few more, whatever their number.
 *
 * It is a treegrid: arrow keys move between rows, Right goes to a row's buttons and Left back, and on a group they open
 * and close it; Space pauses and resumes.
 */

import * as React from 'react';

import type { Translations } from './format';
import { GroupRow, OperationRow } from './operationRow';
import type { GroupView, OperationView, Step } from './protocol';
import { groupKey, offsetsOf, Row, ROW_HEIGHTS, windowOf } from './rows';

interface IListProps {
  readonly rows: readonly Row[];
  readonly collapsed: ReadonlySet<string>;
  readonly trans: Translations;
  readonly onToggle: (key: string) => void;
}

export function List({ rows, collapsed, trans, onToggle }: IListProps): JSX.Element {
  const node = React.useRef<HTMLDivElement>(null);
  const [view, setView] = React.useState({ top: 0, height: 600 });
  const [currentKey, setCurrentKey] = React.useState<string | null>(null);
  const wanted = React.useRef<string | null>(null);
  const offsets = React.useMemo(() => offsetsOf(rows), [rows]);
  useViewport(node, setView);
  React.useLayoutEffect(() => {
    // A row that was off screen exists only after the scrolling has been drawn.
    const element = wanted.current === null ? null : rowElement(node.current, wanted.current);
    if (element !== null) {
      wanted.current = null;
      element.focus({ preventScroll: true });
    }
  });

  const [first, last] = windowOf(offsets, view.top, view.height);
  const found = rows.findIndex(each => each.key === currentKey);
  const current = found < 0 ? 0 : found;

  const goTo = (index: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    const row = rows[next];
    if (row === undefined || node.current === null) {
      return;
    }
    wanted.current = row.key;
    setCurrentKey(row.key);
    scrollTo(node.current, offsets[next] ?? 0, offsets[next + 1] ?? 0);
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const row = rows[current];
    if (row !== undefined && node.current !== null) {
      const move = keyMove(event, row, { current, count: rows.length, collapsed });
      if (move !== null) {
        event.preventDefault();
        typeof move === 'number' ? goTo(move) : perform(move, row, node.current, onToggle);
      }
    }
  };
  return (
    <div
      ref={node}
      className="bgdl-List"
      role="treegrid"
      aria-label={trans.__('Downloads')}
      aria-rowcount={rows.length}
      onKeyDown={onKeyDown}
    >
      <div className="bgdl-List-space" role="presentation" style={{ height: offsets[offsets.length - 1] }}>
        {rows.slice(first, last).map((row, index) => (
          <RowView
            key={row.key}
            row={row}
            index={first + index}
            top={offsets[first + index] ?? 0}
            isCurrent={first + index === current}
            isCollapsed={collapsed.has(row.key)}
            trans={trans}
            view={viewOf(row)}
            onToggle={onToggle}
            onFocus={setCurrentKey}
          />
        ))}
      </div>
    </div>
  );
}

/** Follow the scroll position and the height of the list. */
function useViewport(
  node: React.RefObject<HTMLDivElement>,
  setView: (view: { top: number; height: number }) => void
): void {
  React.useLayoutEffect(() => {
    const element = node.current;
    if (element === null) {
      return undefined;
    }
    const update = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(update);
    observer.observe(element);
    element.addEventListener('scroll', update, { passive: true });
    update();
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', update);
    };
  }, []);
}

type Move = 'toggle' | 'first button' | 'next button' | 'previous button' | 'row' | Step;

/** Return the row or the step that a key leads to; null for a key that is none of ours. */
function keyMove(
  event: React.KeyboardEvent,
  row: Row,
  list: { current: number; count: number; collapsed: ReadonlySet<string> }
): number | Move | null {
  const onButton = event.target instanceof HTMLButtonElement;
  const isOpen = row.kind === 'group' && !list.collapsed.has(row.key);
  switch (event.key) {
    case 'ArrowDown':
      return list.current + 1;
    case 'ArrowUp':
      return list.current - 1;
    case 'PageDown':
      return list.current + 10;
    case 'PageUp':
      return list.current - 10;
    case 'Home':
      return 0;
    case 'End':
      return list.count - 1;
    case 'ArrowRight':
      if (onButton) {
        return 'next button';
      }
      return row.kind === 'group' && !isOpen ? 'toggle' : 'first button';
    case 'ArrowLeft':
      if (onButton) {
        return 'previous button';
      }
      return isOpen ? 'toggle' : null;
    case 'Enter':
      return !onButton && row.kind === 'group' ? 'toggle' : null;
    case ' ':
      return onButton ? null : 'pause';
    case 'Escape':
      return onButton ? 'row' : null;
    default:
      return null;
  }
}

function perform(move: Move, row: Row, list: HTMLElement, onToggle: (key: string) => void): void {
  const element = rowElement(list, row.key);
  const buttons = [...(element?.querySelectorAll<HTMLButtonElement>('.bgdl-Step') ?? [])];
  const at = buttons.findIndex(each => each === document.activeElement);
  switch (move) {
    case 'toggle':
      onToggle(row.key);
      break;
    case 'row':
      element?.focus();
      break;
    case 'first button':
    case 'next button':
      (buttons[at + 1] ?? buttons[at])?.focus();
      break;
    case 'previous button':
      (at > 0 ? buttons[at - 1] : element)?.focus();
      break;
    default:
      // Space pauses what runs and resumes what is paused.
      buttons.find(each => each.dataset.step === 'pause' || each.dataset.step === 'resume')?.click();
  }
}

function scrollTo(list: HTMLElement, top: number, bottom: number): void {
  if (top < list.scrollTop) {
    list.scrollTop = top;
  } else if (bottom > list.scrollTop + list.clientHeight) {
    list.scrollTop = bottom - list.clientHeight;
  }
}

function rowElement(list: HTMLElement | null, key: string): HTMLElement | null {
  const elements = list?.querySelectorAll<HTMLElement>('.bgdl-Row') ?? [];
  return [...elements].find(each => each.dataset.key === key) ?? null;
}

interface IRowViewProps {
  readonly row: Row;
  readonly index: number;
  readonly top: number;
  readonly isCurrent: boolean;
  readonly isCollapsed: boolean;
  readonly trans: Translations;
  readonly onToggle: (key: string) => void;
  readonly onFocus: (key: string) => void;
  /** What the row shows; a row whose view is the same is not drawn again. */
  readonly view: OperationView | GroupView | undefined;
}

function viewOf(row: Row): OperationView | GroupView | undefined {
  switch (row.kind) {
    case 'operation':
      return row.kernel.operations.get(row.operationId);
    case 'group':
      return row.kernel.groups.get(row.group);
    default:
      return undefined;
  }
}

const RowView = React.memo(function RowView(props: IRowViewProps): JSX.Element {
  const { row, index, top, isCurrent, isCollapsed, onToggle, onFocus } = props;
  return (
    <div
      className={`bgdl-Row bgdl-mod-${row.kind}`}
      role="row"
      aria-level={row.kind === 'operation' ? 2 : 1}
      aria-rowindex={index + 1}
      aria-expanded={row.kind === 'group' ? !isCollapsed : undefined}
      data-key={row.key}
      tabIndex={isCurrent ? 0 : -1}
      style={{ transform: `translateY(${top}px)`, height: ROW_HEIGHTS[row.kind] }}
      onClick={row.kind === 'group' ? () => onToggle(groupKey(row.kernel.kernelId, row.group)) : undefined}
      onFocus={() => onFocus(row.key)}
    >
      <RowContent {...props} />
    </div>
  );
});

function RowContent({ row, isCollapsed, trans }: IRowViewProps): JSX.Element | null {
  if (row.kind === 'kernel') {
    return (
      <span className="bgdl-Row-name" role="gridcell">
        {row.kernel.label}
      </span>
    );
  }
  const { kernel } = row;
  if (row.kind === 'group') {
    const group = kernel.groups.get(row.group);
    const onStep = (verb: Step): void => kernel.send({ verb, group: row.group });
    return group === undefined ? null : (
      <GroupRow kernel={kernel} group={group} isCollapsed={isCollapsed} trans={trans} onStep={onStep} />
    );
  }
  const operation = kernel.operations.get(row.operationId);
  const onStep = (verb: Step): void => kernel.send({ verb, operation_id: row.operationId });
  return operation === undefined ? null : <OperationRow operation={operation} trans={trans} onStep={onStep} />;
}
