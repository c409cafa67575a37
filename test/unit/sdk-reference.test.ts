import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sdkReference, sdkReferenceFile } from '../../packaging/sdk-reference.ts';

const made = sdkReference();

test('docs/reference/sdk.md is what the declarations of sdk/ say (npm run docs:sdk)', () => {
  assert.ok(readFileSync(sdkReferenceFile, 'utf8') === made, 'out of date: npm run docs:sdk');
});

test('the reference has every name that the entry exports, and no body of a function', () => {
  const entry = readFileSync(new URL('../../sdk/index.ts', import.meta.url), 'utf8').replaceAll(/\/\*\*.*?\*\//gs, '');
  const names = [...entry.matchAll(/export (?:type )?\{([^}]+)\}/g)].flatMap(([, list = '']) =>
    list.split(',').flatMap((name) => name.trim().replace(/^type /, '') || []),
  );
  assert.ok(names.length > 20);
  assert.deepEqual(
    names.filter((name) => !made.includes(`\n### ${name}\n`)),
    [],
  );
  assert.ok(made.includes('class Poison extends Error'));
  assert.ok(!made.includes('super('));
});
