import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findingCatalogue } from '#connectors/doctor/catalogue/catalogue.ts';
import { mariadbAreas, mariadbCatalogue } from '#connectors/doctor/catalogue/mariadb.ts';
import { finding } from '#connectors/doctor/finding.ts';
import { doctorReference, doctorReferenceFile, generatedFrom } from '#connectors/doctor/reference.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

test('docs/doctor.md ends with the catalogue as it is (npm run docs:doctor writes it)', () => {
  const [, generated] = readFileSync(doctorReferenceFile, 'utf8').split(generatedFrom);
  assert.equal(generatedFrom + (generated ?? ''), doctorReference());
});

test('every finding is injected somewhere: its code stands in a test of doctor', () => {
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

test('the particulars of a case stand in its texts, and a reference of a connector file is left alone', () => {
  const found = finding('CONNECTOR_DATABASE_DIFFERS', 'log', { kind: 'connector', name: 'c' }, { setting: 's', value: 'v', expected: 'e' });
  assert.equal(found.cause, 'Connector c captures s = v, but legacyDb says e.');
  assert.match(found.remedy, /\$\{env:LEGACY_DB_NAME\}/);
  assert.equal(found.severity, 'error');
});
