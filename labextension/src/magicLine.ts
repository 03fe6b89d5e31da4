/**
 * The visible `%bgdl` line that a dialog runs: safe to read, and read by the kernel as it was meant.
 */

export interface IRequest {
  readonly address: string;
  readonly destination: string;
  readonly group: string;
}

export type Refusal = 'address' | 'scheme' | 'password' | 'destination' | 'group';

export type Line = { readonly code: string } | { readonly refused: Refusal };

const SCHEMES = ['http:', 'https:', 'ftp:', 'ftps:'];

// IPython expands `{…}` and `$name` in the line of a magic, takes a question mark at its end as a call for help and
// splits it like a shell. What any of them could take for its own is escaped in an address, and refused elsewhere.
const UNSAFE_IN_ADDRESS = /[^A-Za-z0-9\-._~:/?#[\]@!&()*+,;=%]/g;
const UNSAFE_IN_WORD = /["'`$\\{}?!\u0000-\u001f\u007f\u2028\u2029]/;
const PLAIN_WORD = /^[A-Za-z0-9_.,:/+@=~][A-Za-z0-9_.,:/+@=~-]*$/;

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
  if (url.password !== '') {
    // The line stays in the notebook.
    return { refused: 'password' };
  }
  url.hash = '';
  const escaped = url.href.replace(UNSAFE_IN_ADDRESS, percentEncoded);
  return escaped.replace(/\?+$/, marks => (marks.length === 1 ? '' : `?${'%3F'.repeat(marks.length - 1)}`));
}

/** Encode a character of an address, which `URL` has already made ASCII. */
function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

function quoted(word: string): string {
  return PLAIN_WORD.test(word) ? word : `"${word}"`;
}
