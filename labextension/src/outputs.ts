/**
 * The outputs of a notebook that show our widgets: which they are, that they are stale, and how they come alive again.
 */

import { CodeCell, type ICodeCellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { KernelMessage } from '@jupyterlab/services';

const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';
const WIDGET_TARGET = 'jupyter.widget';
/** The package gives the widgets that it can make again ids with this beginning. */
const OUR_MODELS = 'bgdl-';
const STALE = 'bgdl-Stale';

interface IOurOutput {
  readonly outputs: ICodeCellModel['outputs'];
  readonly index: number;
  readonly modelId: string;
  /** Where it is drawn, if it is. */
  readonly node: HTMLElement | null;
}

/**
 * Let nobody press a button that nobody hears: the kernel that made it is gone.
 *
 * What is marked is the drawn widget itself, so the mark goes with it when the output is drawn anew. `text` says why,
 * where that takes longer than a moment.
 */
export function markStale(panel: NotebookPanel, text: string): void {
  outputsOf(panel).forEach(({ node }) => {
    const drawn = node?.querySelector<HTMLElement>('.jupyter-widgets');
    if (drawn && !drawn.classList.contains(STALE)) {
      drawn.classList.add(STALE);
      drawn.setAttribute('inert', '');
      drawn.dataset.bgdlNote = text;
    }
  });
}

/** Set outputs again, so that they are drawn with the models of the new kernel. */
export function revive(panel: NotebookPanel, modelIds: ReadonlySet<string>): void {
  const notebook = panel.content.model;
  if (notebook === null) {
    return;
  }
  const { dirty } = notebook;
  outputsOf(panel)
    .filter(each => modelIds.has(each.modelId))
    .forEach(({ outputs, index }) => outputs.set(index, outputs.get(index).toJSON()));
  // What is drawn anew is what was saved.
  notebook.dirty = dirty;
}

/** Whether an output of the notebook shows the widget. */
export function shows(panel: NotebookPanel, modelId: string): boolean {
  return outputsOf(panel).some(each => each.modelId === modelId);
}

/** Return the id of the widget that a message makes, if it is one that the package can make again. */
export function openedWidget(message: KernelMessage.IMessage): string | null {
  if (!KernelMessage.isCommOpenMsg(message) || message.content.target_name !== WIDGET_TARGET) {
    return null;
  }
  return ours(message.content.comm_id);
}

/** Return the outputs that show our widgets. */
function outputsOf(panel: NotebookPanel): IOurOutput[] {
  return panel.content.widgets.flatMap(cell => {
    if (!(cell instanceof CodeCell)) {
      return [];
    }
    const { outputs } = cell.model;
    const found: IOurOutput[] = [];
    for (let index = 0; index < outputs.length; index += 1) {
      const modelId = modelOf(outputs.get(index).toJSON());
      if (modelId !== null) {
        found.push({ outputs, index, modelId, node: cell.outputArea.widgets[index]?.node ?? null });
      }
    }
    return found;
  });
}

/** Return the id of the widget that an output shows, if it is one that the package can make again. */
function modelOf(output: unknown): string | null {
  const view = (output as { data?: Readonly<Record<string, unknown>> }).data?.[WIDGET_VIEW];
  return ours((view as { model_id?: unknown } | undefined)?.model_id);
}

function ours(modelId: unknown): string | null {
  return typeof modelId === 'string' && modelId.startsWith(OUR_MODELS) ? modelId : null;
}
