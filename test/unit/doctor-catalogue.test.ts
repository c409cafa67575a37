import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFinal } from '#cdc-poller/supervisor/final-errors.ts';
import { findingCatalogue } from '#doctor/catalogue/catalogue.ts';
import { mariadbAreas, mariadbCatalogue } from '#doctor/catalogue/mariadb.ts';
import { finding } from '#doctor/finding.ts';
import { findingsReference, findingsReferenceFile } from '#doctor/reference.ts';
import { CdcError, errorCatalogue, type ErrorCode } from '#pipeline/errors.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

test('docs/reference/findings.md is what the catalogue says (npm run docs:doctor)', () => {
  assert.ok(readFileSync(findingsReferenceFile, 'utf8') === findingsReference(), 'out of date: npm run docs:doctor');
});

/** What no look beforehand can show, or another command reports. */
const notBeforehand: ReadonlySet<string> = new Set([
  // Of a value, a record or a page that is read while polling.
  'VALUE_UNREADABLE',
  'KAFKA_MESSAGE_TOO_LARGE',
  // Of another process of the name, and of a topic that is deleted meanwhile.
  'PRODUCER_FENCED',
  'POSITIONS_LOST',
  // Several of the others in one.
  'TABLES_UNFIT',
  // cdc schemas check asks the registry.
  'SCHEMA_INCOMPATIBLE',
  'SCHEMA_INVALID',
  'REGISTRY_REFUSED',
]);

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}

test('every refusal of the poller is a finding with its own code', () => {
  const codes = Object.keys(errorCatalogue).filter(isCode);
  const refusals = codes.filter((code) => isFinal(new CdcError(code, '')));
  assert.ok(refusals.length > 20);
  assert.deepEqual(
    refusals.filter((code) => !notBeforehand.has(code) && !Object.hasOwn(findingCatalogue, code)),
    [],
  );
  assert.deepEqual(
    [...notBeforehand].filter((code) => !refusals.some((one) => one === code)),
    [],
  );
});

test('every finding is injected somewhere: its code is in a test of doctor', () => {
  const tests = globSync('test/{unit,integration}/doctor-*.test.ts', { cwd: repositoryRoot })
    .filter((file) => !file.endsWith('doctor-catalogue.test.ts'))
    .map((file) => readFileSync(join(repositoryRoot, file), 'utf8'))
    .join('\n');
  assert.deepEqual(
    Object.keys(findingCatalogue).filter((code) => !new RegExp(String.raw`\b${code}\b`).test(tests)),
    [],
  );
});

test('every finding of MariaDB is injected into a MariaDB', () => {
  const tests = globSync('test/{unit,integration}/*mariadb*.test.ts', { cwd: repositoryRoot })
    .map((file) => readFileSync(join(repositoryRoot, file), 'utf8'))
    .join('\n');
  assert.deepEqual(
    Object.values(mariadbAreas)
      .flatMap((entries) => Object.keys(entries))
      .filter((code) => !new RegExp(String.raw`\b${code}\b`).test(tests)),
    [],
  );
});

test('every entry says in whole sentences why, what then, and what to do', () => {
  for (const [code, { cause, remedy, blastRadius, privilege }] of [
    ...Object.entries(findingCatalogue),
    ...Object.entries(mariadbCatalogue),
  ]) {
    assert.match(code, /^[A-Z]+(_[A-Z]+)*$/);
    assert.match(cause, /^(?:[A-Z{]|pipeline\.yaml |[a-z_]+ is ).*[.}]$/s, `${code}: cause`);
    assert.match(blastRadius, /^(?:[A-Z]|cdc ).*\.$/s, `${code}: blast radius`);
    assert.ok(remedy.length > 10 && privilege.length > 5, code);
  }
});

test('the particulars of a case are in its texts, and a reference of a connector file is left alone', () => {
  const found = finding('CONNECTOR_DATABASE_DIFFERS', 'log', { kind: 'connector', name: 'c' }, { setting: 's', value: 'v', expected: 'e' });
  assert.equal(found.cause, 'Connector c captures s = v, but legacyDb says e.');
  assert.match(found.remedy, /\$\{env:LEGACY_DB_NAME\}/);
  assert.equal(found.severity, 'error');
});
