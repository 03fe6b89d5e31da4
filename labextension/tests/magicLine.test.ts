import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { magicLine } from '../src/magicLine';

function code(address: string, destination = '', group = ''): string {
  const line = magicLine({ address, destination, group }, { loadExtension: false });
  return 'code' in line ? line.code : `refused: ${line.refused}`;
}

describe('the line of a dialog', () => {
  it('says what to download, where to and in which group', () => {
    assert.equal(code('https://host.example/a.tar?x=1&y=2'), '%bgdl https://host.example/a.tar?x=1&y=2');
    assert.equal(
      code('ftp://host.example/a b', 'my data/', 'night run'),
      '%bgdl -g "night run" ftp://host.example/a%20b "my data/"'
    );
  });

  it('loads the extension where it is not loaded', () => {
    const line = magicLine(
      { address: 'https://host.example/', destination: '', group: '' },
      { loadExtension: true }
    );
    assert.deepEqual(line, { code: '%load_ext bgdl_jupyter\n%bgdl https://host.example/' });
  });

  it('leaves nothing in an address that Python or a shell would take for its own', () => {
    const hostile = 'https://host.example/$(rm)/{x}/`y`?q=$HOME{z}\'"|;^\\';
    assert.doesNotMatch(code(hostile), /[$`{}'"|^\\]/);
    assert.equal(code('https://host.example/a\n!rm -rf ~').split('\n').length, 1);
  });

  it('does not end in a question mark, which would ask for help', () => {
    assert.equal(code('https://host.example/a?'), '%bgdl https://host.example/a');
    assert.equal(code('https://host.example/a??'), '%bgdl https://host.example/a?%3F');
  });

  it('does not take a destination for an option', () => {
    assert.equal(code('https://host.example/a', '--header'), '%bgdl https://host.example/a ./--header');
    assert.equal(code('https://host.example/a', '', '-x'), 'refused: group');
  });

  it('refuses a link that is signed or holds a token, and no other with a query', () => {
    for (const query of [
      'X-Amz-Signature=0',
      'a=1&access_token=0',
      'a=1;sig=0',
      'API-Key=0',
      'se=2030&sp=r',
      't%6fken=0',
      'jwt'
    ]) {
      assert.equal(code(`https://host.example/a?${query}`), 'refused: signed', query);
    }
    for (const query of ['page=2', 'keyboard=qwerty', 'q=token', 'design=1']) {
      assert.equal(code(`https://host.example/a?${query}`), `%bgdl https://host.example/a?${query}`);
    }
  });

  it('refuses what it cannot say safely', () => {
    assert.equal(code('not an address'), 'refused: address');
    assert.equal(code('javascript:alert(1)'), 'refused: scheme');
    assert.equal(code('file:///etc/passwd'), 'refused: scheme');
    assert.equal(code('https://ada:secret@host.example/'), 'refused: password');
    assert.equal(code('https://ghp_token@host.example/'), 'refused: password');
    assert.equal(code('https://host.example/', '{x}'), 'refused: destination');
    assert.equal(code('https://host.example/', 'a\nb'), 'refused: destination');
    assert.equal(code('https://host.example/', '', 'a"b'), 'refused: group');
  });
});
