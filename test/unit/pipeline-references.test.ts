import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { errorReference, errorReferenceFile } from '#pipeline/error-reference.ts';
import { jsonSchemaFile, pipelineJsonSchema } from '#pipeline/json-schema.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

test('pipeline.schema.json is what the zod schema says (npm run schema)', () => {
  assert.ok(readFileSync(jsonSchemaFile, 'utf8') === pipelineJsonSchema(), 'out of date: npm run schema');
});

test('docs/errors.md is what the catalogue says (npm run docs:errors)', () => {
  assert.ok(readFileSync(errorReferenceFile, 'utf8') === errorReference(), 'out of date: npm run docs:errors');
});

test('the published schema takes the pipeline.yaml of the repository as it is written, references and all, and refuses a slip', () => {
  const published = z.fromJSONSchema(JSON.parse(pipelineJsonSchema()));
  const written = parse(readFileSync(join(repositoryRoot, 'pipeline.yaml'), 'utf8'));
  assert.deepEqual(published.safeParse(written).error, undefined);
  assert.equal(published.safeParse({ ...written, kafka: { ...written.kafka, brockers: 'a:1' } }).success, false);
  assert.equal(published.safeParse({ ...written, legacyDb: { ...written.legacyDb, port: 'many' } }).success, false);
  assert.equal(published.safeParse({ ...written, legacyDb: { ...written.legacyDb, port: 70_000 } }).success, false);
});
