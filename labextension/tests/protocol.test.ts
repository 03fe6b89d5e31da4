import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { MAX_ITEMS, parseMessage } from '../src/parsing';
import { COMM_TARGET, VERSION } from '../src/protocol';
import { wire } from './examples';

describe('the wire', () => {
  it('has the target and the version of the examples', () => {
    assert.equal(COMM_TARGET, wire.target);
    assert.equal(VERSION, wire.version);
  });

  for (const [name, example] of Object.entries(wire.from_kernel)) {
    it(`takes in: ${name}`, () => {
      const message = parseMessage(example);
      assert.equal(message?.type, example.type);
    });
  }

  for (const [name, example] of Object.entries(wire.refused_by_lab)) {
    it(`refuses: ${name}`, () => {
      assert.equal(parseMessage(example), null);
    });
  }

  it('keeps what the kernel said to the letter, but for the group that is none', () => {
    const example = wire.from_kernel['snapshot, last part'];
    const message = parseMessage(example);
    assert.ok(message?.type === 'snapshot');
    const said = example?.operations as { group: string | null }[];
    assert.deepEqual(
      message.operations,
      said.map(each => ({ ...each, group: each.group ?? '' }))
    );
    assert.deepEqual(message.alerts, example?.alerts);
    assert.deepEqual(message.kernel, example?.kernel);
  });

  it('knows only its own steps of those that a kernel allows', () => {
    const example = wire.from_kernel['changed'];
    const [operation] = example?.operations as Record<string, unknown>[];
    const message = parseMessage({ ...example, operations: [{ ...operation, allowed: ['start', 'pause', 'explode'] }] });
    assert.ok(message?.type === 'changed');
    assert.deepEqual(message.operations[0]?.allowed, ['pause']);
  });

  it('shows characters that hide or reorder others', () => {
    const example = wire.from_kernel['changed'];
    const [operation] = example?.operations as Record<string, unknown>[];
    const name = 'a\u202egpj.exe\u0000\n\u001b[31m';
    const message = parseMessage({ ...example, operations: [{ ...operation, name }] });
    assert.ok(message?.type === 'changed');
    assert.equal(message.operations[0]?.name, 'a\ufffdgpj.exe\ufffd \ufffd[31m');
  });

  it('cuts a name of a megabyte and refuses a list without an end', () => {
    const example = wire.from_kernel['changed'];
    const [operation] = example?.operations as Record<string, unknown>[];
    const message = parseMessage({ ...example, operations: [{ ...operation, name: 'x'.repeat(1e6) }] });
    assert.ok(message?.type === 'changed');
    assert.ok((message.operations[0]?.name.length ?? 0) <= 301);
    assert.equal(parseMessage({ ...example, operations: Array(MAX_ITEMS + 1).fill(operation) }), null);
  });

  it('survives what no kernel would say', () => {
    const junk: unknown[] = [null, undefined, 7, 'x', [], NaN, { type: null }, { type: 'changed', operations: null }];
    let state = 7;
    const random = (): number => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
    const example = JSON.stringify(wire.from_kernel['changed']);
    for (let round = 0; round < 2000; round += 1) {
      const at = Math.floor(random() * example.length);
      const text = example.slice(0, at) + '0"[]{},x'.charAt(Math.floor(random() * 8)) + example.slice(at + 1);
      try {
        junk.push(JSON.parse(text));
      } catch {
        continue;
      }
    }
    assert.ok(junk.length > 100);
    junk.forEach(each => assert.doesNotThrow(() => parseMessage(each)));
  });
});
