import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pool } from 'pg';
import { silentLogger } from '#pipeline/index.ts';
import type { Mirror } from '#read-model/mirrors/mirror.ts';
import { openMirrors } from '#read-model/mirrors/mirrors.ts';

const mirrorOf = (table: string, source: string): Mirror => ({
  source: { schema: 'public', table: source },
  schema: 'model',
  table,
  columns: [],
  key: [],
  columnNames: new Set(),
  columnsSpent: 1,
  columnsVersion: 1,
  deletes: 'remove',
  history: false,
  follows: true,
  identity: '',
});

function open(...mirrors: readonly Mirror[]): readonly string[] {
  return openMirrors(new Pool(), 'log', mirrors, silentLogger, new AbortController().signal).topics;
}

test('two mirrors that one topic would feed are refused by name', () => {
  assert.deepEqual(open(mirrorOf('a', 'x_y'), mirrorOf('b', 'other')), ['log.public.x_y', 'log.public.other']);
  assert.throws(() => open(mirrorOf('a', 'x_y'), mirrorOf('b', 'x y')), {
    code: 'READ_MODEL_MIRROR_INVALID',
    message: /a \(of public\.x_y\) and b \(of public\.x y\) would be fed by one topic, log\.public\.x_y/,
  });
});
