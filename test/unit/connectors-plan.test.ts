import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPlan, planChanges } from '#connectors/index.ts';

test('a plan names added, changed and removed settings, and nothing else', () => {
  const plan = planChanges({ name: 'a', kept: '1', changed: '1', removed: '1' }, { name: 'a', kept: '1', changed: '2', added: '1' });
  assert.deepEqual(plan, {
    action: 'update',
    changes: [
      { kind: 'added', key: 'added', after: '1' },
      { kind: 'changed', key: 'changed', before: '1', after: '2' },
      { kind: 'removed', key: 'removed', before: '1' },
    ],
  });
});

test('equal settings in another order are no difference', () => {
  assert.deepEqual(planChanges({ a: '1', b: '2' }, { b: '2', a: '1' }), { action: 'none', changes: [] });
});

test('without a running connector everything is added', () => {
  assert.deepEqual(planChanges(null, { a: '1' }), { action: 'create', changes: [{ kind: 'added', key: 'a', after: '1' }] });
});

test('references are shown as they are, literal secrets never', () => {
  const running = {
    'database.password': 'hunter2',
    'database.user': 'u',
    'key.converter.basic.auth.credentials.source': 'tok',
    'sasl.jaas.config': 'password="hunter2"',
  };
  const wanted = { 'database.password': '${env:PW}', 'database.user': '${env:USER}', 'ssl.key.password': 'x${env:PW}' };
  const text = formatPlan('orders', planChanges(running, wanted));
  assert.equal(
    text,
    [
      'orders: would change',
      '  ~ database.password = *** → ${env:PW}',
      '  ~ database.user = u → ${env:USER}',
      '  - key.converter.basic.auth.credentials.source = ***',
      '  - sasl.jaas.config = ***',
      '  + ssl.key.password = ***',
    ].join('\n'),
  );
});

test('two literal secrets that differ are a difference that does not show them', () => {
  const text = formatPlan('orders', planChanges({ 'database.password': 'old' }, { 'database.password': 'new' }));
  assert.equal(text, 'orders: would change\n  ~ database.password (secret, differs)');
});
