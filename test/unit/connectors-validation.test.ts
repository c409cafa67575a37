import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configProblems, unknownKeys } from '#connectors/register/validation.ts';

const field = (name: string, ...errors: string[]) => ({ definition: { name }, value: { name, errors } });
const validation = (...configs: { definition: { name: string }; value: { name: string; errors: string[] } | null }[]) => ({
  error_count: 0,
  configs,
});
const known = validation(field('slot.name'), field('database.password'), field('poll.interval.ms'), {
  definition: { name: 'ssl' },
  value: null,
});

test('a slip of a known setting is a problem that names what was meant', () => {
  for (const slip of ['slot.naem', 'slot.nam', 'slot.names', 'slpt.name']) {
    assert.deepEqual(configProblems({ [slip]: 'x' }, known), [{ field: slip, message: 'unknown setting; did you mean slot.name?' }]);
  }
});

test('an unknown setting that resembles nothing is reported as ignored, not refused', () => {
  const config = { 'my.own': 'x', 'topic.creation.default.partitions': '3', 'transforms.a.type': 'T', 'producer.override.acks': 'all' };
  assert.deepEqual(configProblems(config, known), []);
  assert.deepEqual(unknownKeys(config, known), ['my.own']);
});

test('a slip is one even beside the setting that was meant', () => {
  assert.equal(configProblems({ 'slot.name': 'a', 'slot.namf': 'b' }, known)[0]?.field, 'slot.namf');
});

test("the server's words are reported by field, without the secrets they quote", () => {
  const answer = validation(field('database.hostname', 'FATAL: password "hunter2" refused\n for user'), field('slot.name'));
  assert.deepEqual(configProblems({ 'database.password': 'hunter2' }, answer), [
    { field: 'database.hostname', message: 'FATAL: password "***" refused for user' },
  ]);
});

test('a name that holds a secret by chance stays whole, the secret itself does not', () => {
  const config = { 'database.password': 'cdc', 'database.user': 'cdc_replicator', 'slot.name': 'cdc_slot', 'a.token': 'cdc_slot2' };
  const said = 'role "cdc_replicator" may not use cdc_slot; password "cdc" and token cdc_slot2; xcdcx';
  assert.deepEqual(
    configProblems(config, validation(field('a.token', said)))[0]?.message,
    'role "cdc_replicator" may not use cdc_slot; password "***" and token ***; x***x',
  );
});

test('what Debezium reads without declaring it is not called unknown', () => {
  assert.deepEqual(unknownKeys({ 'field.name.adjustment.mode': 'avro', 'offset.mismatch.strategy': 'trust_offset' }, known), []);
});

test('a reference that the worker left unresolved is named as the cause', () => {
  const answer = validation(field('database.hostname', 'FATAL: database "${env:NOPE}" does not exist'));
  assert.match(configProblems({}, answer)[0]?.message ?? '', /does not resolve \$\{env:NOPE\}/);
});
