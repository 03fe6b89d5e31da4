/**
 * The visible `%bgdl` line that a dialog runs: safe to read, and read by the kernel as it was meant.
 */

export interface IRequest {
  readonly address: string;
  readonly destination: string;
  readonly group: string;
}

export type Refusal = 'address' | 'scheme' | 'password' | 'signed' | 'destination' | 'group';

export type Line = { readonly code: string } | { readonly refused: Refusal };

const SCHEMES = ['http:', 'https:', 'ftp:', 'ftps:'];

// IPython expands `{…}` and `$name` in the line of a magic, takes a question mark at its end as a call for help and
// splits it like a shell. What any of them could take for its own is escaped in an address, and refused elsewhere.
const UNSAFE_IN_ADDRESS = /[^A-Za-z0-9\-._~:/?#[\]@!&()*+,;=%]/g;
const UNSAFE_IN_WORD = /["'`$\\{}?!\u0000-\u001f\u007f\u2028\u2029]/;
const PLAIN_WORD = /^[A-Za-z0-9_.,:/+@=~][A-Za-z0-9_.,:/+@=~-]*$/;

// What a parameter that signs or authorises a request is called; the kernel hides the same (bgdl_jupyter/uris.py).
const SECRET_WORD =
  /^(?:x-amz-|x-goog-|x-ms-)|token|signature|secret|password|passwd|credential|api[-_]?key|access[-_]?key/i;
const SECRET_NAME = /^(?:sig|key|auth|jwt|se|sp|sv|sr|spr|skoid|policy|key-pair-id|hmac|expires)$/i;

/** Return the code of a cell that starts the download, or why there can be none. */
export function magicLine(request: IRequest, options: { loadExtension: boolean }): Line {
  const address = safeAddress(request.address.trim());
  if (typeof address !== 'string') {
    return address;
  }
  const destination = request.destination.trim();
  const group = request.group.trim();
  if (UNSAFE_IN_WORD.test(destination)) {
    return { refused: 'destination' };
  }
  if (UNSAFE_IN_WORD.test(group) || group.startsWith('-')) {
    return { refused: 'group' };
  }
  const words = ['%bgdl'];
  if (group !== '') {
    words.push('-g', quoted(group));
  }
  words.push(address);
  if (destination !== '') {
    words.push(quoted(destination.startsWith('-') ? `./${destination}` : destination));
  }
  const line = words.join(' ');
  return { code: options.loadExtension ? `%load_ext bgdl_jupyter\n${line}` : line };
}

function safeAddress(text: string): string | { refused: Refusal } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { refused: 'address' };
  }
  if (!SCHEMES.includes(url.protocol) || url.hostname === '') {
    return { refused: 'scheme' };
  }
  // The line stays in the notebook.
  if (url.username !== '' || url.password !== '') {
    return { refused: 'password' };
  }
  if (hasSecretQuery(url)) {
    return { refused: 'signed' };
  }
  url.hash = '';
  const escaped = url.href.replace(UNSAFE_IN_ADDRESS, percentEncoded);
  return escaped.replace(/\?+$/, marks => (marks.length === 1 ? '' : `?${'%3F'.repeat(marks.length - 1)}`));
}

/** Whether a parameter's name, as it stands or decoded, says that the query is a secret. */
function hasSecretQuery(url: URL): boolean {
  const written = url.search.slice(1).split(/[&;]/);
  const names = [...written.map(each => each.replace(/=.*/s, '')), ...url.searchParams.keys()];
  return names.some(name => SECRET_WORD.test(name) || SECRET_NAME.test(name));
}

/** Encode a character of an address, which `URL` has already made ASCII. */
function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

function quoted(word: string): string {
  return PLAIN_WORD.test(word) ? word : `"${word}"`;
}
