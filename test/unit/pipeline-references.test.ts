import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { errorReference, errorReferenceFile } from '#pipeline/reference/error-reference.ts';
import { jsonSchemaFile, pipelineJsonSchema } from '#pipeline/reference/json-schema.ts';
import { allSettings, settingsReference, settingsReferenceFile } from '#pipeline/reference/settings-reference.ts';
import { commandReference, commandReferenceFile } from '../../cli/command-reference.ts';
import { metricsReference, metricsReferenceFile } from '../../cli/metrics-reference.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

test('pipeline.schema.json is what the zod schema says (npm run schema)', () => {
  assert.ok(readFileSync(jsonSchemaFile, 'utf8') === pipelineJsonSchema(), 'out of date: npm run schema');
});

test('docs/reference/errors.md is what the catalogue says (npm run docs:errors)', () => {
  assert.ok(readFileSync(errorReferenceFile, 'utf8') === errorReference(), 'out of date: npm run docs:errors');
});

test('docs/reference/settings.md is what the zod schema says (npm run docs:settings)', () => {
  assert.ok(readFileSync(settingsReferenceFile, 'utf8') === settingsReference(), 'out of date: npm run docs:settings');
});

test('every setting of pipeline.yaml says in a sentence what it does', () => {
  const settings = allSettings();
  assert.ok(settings.length > 90, `only ${settings.length} settings were found`);
  assert.deepEqual(
    settings.filter(({ value }) => !/^\S.+\.$/.test(value.description ?? '')).map(({ path }) => path),
    [],
  );
});

test('docs/reference/metrics.md lists the metrics that are registered (npm run docs:metrics)', () => {
  assert.ok(readFileSync(metricsReferenceFile, 'utf8') === metricsReference(), 'out of date: npm run docs:metrics');
});

test('docs/reference/commands.md lists every command and option as --help has them (npm run docs:commands)', async () => {
  assert.ok(readFileSync(commandReferenceFile, 'utf8') === (await commandReference()), 'out of date: npm run docs:commands');
});

test('the published schema takes the pipeline.yaml of the repository as it is written, references and all, and refuses a slip', () => {
  const published = z.fromJSONSchema(JSON.parse(pipelineJsonSchema()));
  const written = parse(readFileSync(join(repositoryRoot, 'pipeline.yaml'), 'utf8'));
  assert.deepEqual(published.safeParse(written).error, undefined);
  assert.equal(published.safeParse({ ...written, kafka: { ...written.kafka, brockers: 'a:1' } }).success, false);
  assert.equal(published.safeParse({ ...written, legacyDb: { ...written.legacyDb, port: 'many' } }).success, false);
  assert.equal(published.safeParse({ ...written, legacyDb: { ...written.legacyDb, port: 70_000 } }).success, false);
});
