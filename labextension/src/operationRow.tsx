/**
 * The rows of the panel. They show what the kernel said and offer the steps that it allows.
 */

import { clearIcon, closeIcon, LabIcon, refreshIcon, runIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  describeCount,
  describeGroup,
  describeOperation,
  formatRate,
  fractionOf,
  groupTitle,
  State,
  stateOf,
  Translations
} from './format';
import { plotPoints } from './history';
import { pauseIcon } from './icons';
import type { KernelDownloads } from './kernelDownloads';
import type { GroupView, OperationView, Step } from './protocol';

export interface IRowProps {
  readonly trans: Translations;
  readonly onStep: (step: Step) => void;
}

const STEPS: readonly Step[] = ['pause', 'resume', 'retry', 'cancel', 'clear'];

const ICONS: Readonly<Record<Step, LabIcon>> = {
  pause: pauseIcon,
  resume: runIcon,
  retry: refreshIcon,
  cancel: closeIcon,
  clear: clearIcon
};

/** Return what a button does, for those who hear it and those who hover. */
export function stepLabel(step: Step, name: string, trans: Translations): string {
  switch (step) {
    case 'pause':
      return trans.__('Pause %1', name);
    case 'resume':
      return trans.__('Resume %1', name);
    case 'retry':
      return trans.__('Retry %1', name);
    case 'cancel':
      return trans.__('Cancel %1', name);
    case 'clear':
      return trans.__('Remove %1 from the list', name);
  }
}

export function StateIcon({ state, trans }: { state: State; trans: Translations }): JSX.Element {
  const words: Readonly<Record<State, string>> = {
    moving: trans.__('Downloading'),
    waiting: trans.__('Waiting'),
    paused: trans.__('Paused'),
    failed: trans.__('Failed'),
    done: trans.__('Done'),
    canceled: trans.__('Canceled')
  };
  return <span className={`bgdl-State bgdl-mod-${state}`} role="img" aria-label={words[state]} title={words[state]} />;
}

/** A bar; what moves without a known size says that it does not know. Before the first byte nothing moves. */
export function Bar(props: {
  fraction: number | null;
  received: number;
  state: State;
  label: string;
}): JSX.Element {
  const { fraction, received, state, label } = props;
  const isUnknown = fraction === null && state === 'moving' && received > 0;
  const percent = (fraction ?? 0) * 100;
  return (
    <div
      className={`bgdl-Bar bgdl-mod-${state}${isUnknown ? ' bgdl-mod-unknown' : ''}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={fraction === null ? undefined : Math.floor(percent)}
    >
      <div className="bgdl-Bar-fill" style={isUnknown ? undefined : { transform: `scaleX(${percent / 100})` }} />
    </div>
  );
}

export function RatePlot(props: { samples: readonly number[]; label: string; className?: string }): JSX.Element | null {
  const { samples, label, className } = props;
  if (samples.length < 2) {
    return null;
  }
  const points = plotPoints(samples, 60, 16);
  const first = points.split(',', 1)[0] ?? '0';
  return (
    <svg
      className={`bgdl-RatePlot ${className ?? ''}`}
      viewBox="0 -1 60 18"
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <polygon points={`${first},16 ${points} 60,16`} />
      <polyline points={points} />
    </svg>
  );
}

export function Steps(props: IRowProps & { allowed: readonly Step[]; name: string }): JSX.Element {
  const { allowed, name, onStep, trans } = props;
  return (
    <span className="bgdl-Steps" role="gridcell">
      {STEPS.filter(each => allowed.includes(each)).map(step => {
        const label = stepLabel(step, name, trans);
        const Icon = ICONS[step].react;
        return (
          <button
            key={step}
            className="bgdl-Step"
            data-step={step}
            tabIndex={-1}
            title={label}
            aria-label={label}
            onClick={event => {
              event.stopPropagation();
              onStep(step);
            }}
          >
            <Icon tag="span" width="14px" height="14px" />
          </button>
        );
      })}
    </span>
  );
}

export function OperationRow(props: IRowProps & { operation: OperationView }): JSX.Element {
  const { operation, trans } = props;
  const state = stateOf(operation);
  const line = describeOperation(operation, trans);
  const fraction = fractionOf(operation);
  const hasBar = state === 'moving' || (fraction !== null && state !== 'done' && state !== 'canceled');
  return (
    <>
      <StateIcon state={state} trans={trans} />
      <div className="bgdl-Row-text" role="gridcell">
        <div className="bgdl-Row-name" title={operation.name} dir="auto">
          {operation.name}
        </div>
        {hasBar ? <Bar fraction={fraction} received={operation.received} state={state} label={operation.name} /> : null}
        <div className={`bgdl-Row-line bgdl-mod-${state}`} title={operation.error ?? line}>
          {line}
        </div>
      </div>
      <Steps {...props} allowed={operation.allowed} name={operation.name} />
    </>
  );
}

export function GroupRow(
  props: IRowProps & { kernel: KernelDownloads; group: GroupView; isCollapsed: boolean }
): JSX.Element {
  const { kernel, group, isCollapsed, trans } = props;
  const title = groupTitle(group.name, trans);
  const state = groupState(group);
  const line = describeGroup(group, trans);
  return (
    <>
      <span className={`bgdl-Twisty${isCollapsed ? '' : ' bgdl-mod-open'}`} aria-hidden="true" />
      <div className="bgdl-Row-text" role="gridcell">
        <div className="bgdl-Row-heading">
          <span className="bgdl-Row-name" title={title} dir="auto">
            {title}
          </span>
          <span className="bgdl-Row-count">{describeCount(group, trans)}</span>
          <RatePlot
            samples={kernel.groupHistory(group.name)}
            label={trans.__('Rate of %1, now %2', title, formatRate(group.rate))}
          />
        </div>
        <Bar fraction={group.fraction} received={group.received} state={state} label={title} />
        <div className="bgdl-Row-line" title={line}>
          {line}
        </div>
      </div>
      <Steps {...props} allowed={group.allowed} name={title} />
    </>
  );
}

function groupState({ counts }: GroupView): State {
  if (counts.running > 0) {
    return 'moving';
  }
  if (counts.failed > 0) {
    return 'failed';
  }
  if (counts.paused > 0) {
    return 'paused';
  }
  return counts.queued > 0 ? 'waiting' : 'done';
}
