/**
 * The dialog that asks for a download. It makes a line of code; it sends nothing.
 */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import type { Translations } from './format';
import { IRequest, Line, magicLine, Refusal } from './magicLine';

export interface IDialogOptions {
  readonly trans: Translations;
  /** Where the line will run, in words. */
  readonly place: string;
  readonly isBusy: boolean;
  readonly destination: string;
  readonly loadExtension: boolean;
}

/** Ask until the answer can be run; null when the user thinks better of it. */
export async function askForDownload(options: IDialogOptions): Promise<string | null> {
  const { trans } = options;
  let request: IRequest = { address: '', destination: options.destination, group: '' };
  let refused: Refusal | null = null;
  for (;;) {
    const answer: Dialog.IResult<IRequest> = await showDialog({
      title: trans.__('Download URL'),
      body: new RequestForm(request, refused, options),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: trans.__('Download') })
      ],
      focusNodeSelector: 'input'
    });
    if (!answer.button.accept || answer.value === null) {
      return null;
    }
    request = answer.value;
    const line: Line = magicLine(request, options);
    if ('code' in line) {
      return line.code;
    }
    refused = line.refused;
  }
}

class RequestForm extends Widget implements Dialog.IBodyWidget<IRequest> {
  constructor(request: IRequest, refused: Refusal | null, options: IDialogOptions) {
    super();
    const { trans } = options;
    this.addClass('bgdl-RequestForm');
    this._address = this._field(trans.__('Address'), request.address, 'https://…');
    this._destination = this._field(
      trans.__('Destination'),
      request.destination,
      trans.__('a folder or a file; empty: the folder of the kernel')
    );
    this._group = this._field(trans.__('Group'), request.group, trans.__('optional'));
    if (refused !== null) {
      const says = this._says(refusalWords(refused, trans), 'bgdl-RequestForm-refusal');
      says.setAttribute('role', 'alert');
    }
    this._says(options.place, 'bgdl-RequestForm-place');
    if (options.isBusy) {
      this._says(trans.__('A cell is running: the line waits until it has ended.'), 'bgdl-RequestForm-place');
    }
  }

  getValue(): IRequest {
    return { address: this._address.value, destination: this._destination.value, group: this._group.value };
  }

  private _field(name: string, value: string, placeholder: string): HTMLInputElement {
    const label = document.createElement('label');
    const input = document.createElement('input');
    label.textContent = name;
    input.type = 'text';
    input.className = 'jp-mod-styled';
    input.value = value;
    input.placeholder = placeholder;
    input.spellcheck = false;
    label.append(input);
    this.node.append(label);
    return input;
  }

  private _says(text: string, className: string): HTMLElement {
    const element = document.createElement('p');
    element.className = className;
    element.textContent = text;
    this.node.append(element);
    return element;
  }

  private readonly _address: HTMLInputElement;
  private readonly _destination: HTMLInputElement;
  private readonly _group: HTMLInputElement;
}

function refusalWords(refused: Refusal, trans: Translations): string {
  switch (refused) {
    case 'address':
      return trans.__('This is not an address. It begins with http://, https://, ftp:// or ftps://.');
    case 'scheme':
      return trans.__('Only http, https, ftp and ftps addresses can be downloaded.');
    case 'password':
      return trans.__(
        'The line stays in the notebook: leave the name and the password out and set server_credential in a cell.'
      );
    case 'signed':
      return trans.__(
        'The line stays in the notebook, and this link holds a secret: call download() with a variable in a cell.'
      );
    case 'destination':
      return trans.__('A destination may not contain quotes, backslashes or any of $ ` { } ! ?');
    case 'group':
      return trans.__('The name of a group may not contain quotes, backslashes or any of $ ` { } ! ?');
  }
}
