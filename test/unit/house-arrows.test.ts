import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HouseRepository, repositoryRoot } from '#test/support/house-repository.ts';
import { lintFindings } from '#test/support/oxlint.ts';

const folders = [
  'pipeline',
  'change-events',
  'kafka',
  'legacy-db',
  'connectors',
  'cdc-poller',
  'doctor',
  'project',
  'read-model',
  'sdk',
  'services',
  'tail',
  'types',
  'verify',
  'stack',
  'comparison',
  'bench',
  'test',
] as const;
type Folder = (typeof folders)[number];

const product = folders.filter((folder) => folder !== 'bench' && folder !== 'test');
const wire: readonly Folder[] = ['pipeline', 'change-events', 'kafka'];

/** The arrows of docs/architecture.md, written a second time so that a slip in .oxlintrc.json shows. */
const mayImport: Readonly<Record<Folder, readonly Folder[]>> = {
  pipeline: [],
  'change-events': ['pipeline'],
  kafka: ['pipeline'],
  'legacy-db': ['pipeline'],
  connectors: wire,
  'cdc-poller': wire,
  doctor: [...wire, 'cdc-poller', 'connectors'],
  project: ['pipeline', 'change-events', 'cdc-poller', 'connectors', 'doctor', 'read-model'],
  'read-model': wire,
  sdk: [...wire, 'read-model'],
  services: ['pipeline', 'read-model'],
  tail: wire,
  // Of the poller, fields.ts alone.
  types: ['pipeline', 'change-events', 'connectors', 'cdc-poller'],
  // Of the comparison, what a value means alone: canonical/.
  verify: ['pipeline', 'change-events', 'connectors', 'cdc-poller', 'read-model'],
  stack: ['pipeline', 'connectors'],
  comparison: product,
  bench: product,
  test: folders,
};

const importing = (specifier: string): string => `import { value } from '${specifier}';\n\nexport const copy = value;\n`;

/** The ways to write an import, none of which may slip through. */
const forms: Readonly<Record<string, (specifier: string) => string>> = {
  plain: importing,
  type: (specifier) => `import type { Value } from '${specifier}';\n\nexport type Copy = Value;\n`,
  reexport: (specifier) => `export { value } from '${specifier}';\n`,
  dynamic: (specifier) => `export const loaded = import('${specifier}');\n`,
};

/** A repository whose folders have nothing but an index.ts that imports nobody. */
function emptyFolders(): HouseRepository {
  const repository = new HouseRepository();
  for (const folder of folders) repository.write(`${folder}/index.ts`, `export const value = 1;\nexport type Value = number;\n`);
  return repository;
}

/** Writes a file and, where it must be refused, remembers that. */
function writer(repository: HouseRepository, refused: string[]): (path: string, text: string, isAllowed: boolean) => void {
  return (path, text, isAllowed) => {
    repository.write(path, text);
    if (!isAllowed) refused.push(`${path}: eslint(no-restricted-imports)`);
  };
}

/** Exactly these findings; the difference alone is shown, since the lists are long. */
async function assertRefused(repository: HouseRepository, refused: readonly string[]): Promise<void> {
  const found = new Set(await lintFindings(repository, { withTypes: false }));
  const wanted = new Set(refused);
  assert.deepEqual(
    { slipped: [...wanted.difference(found)], refusedByMistake: [...found.difference(wanted)] },
    { slipped: [], refusedByMistake: [] },
  );
}

test('every import between folders that the design does not draw is refused, every one that it draws passes', async () => {
  using repository = emptyFolders();
  const refused: string[] = [];
  const write = writer(repository, refused);
  for (const from of folders) {
    for (const to of folders.filter((folder) => folder !== from)) {
      for (const [form, text] of Object.entries(forms)) {
        write(`${from}/${form}-${to}.ts`, text(`#${to}/index.ts`), mayImport[from].includes(to));
      }
    }
  }
  await assertRefused(repository, refused);
});

test('a relative path into another folder is refused, however deep and whatever the arrow', async () => {
  using repository = emptyFolders();
  const refused: string[] = [];
  const write = writer(repository, refused);
  for (const from of folders) {
    for (const to of folders.filter((folder) => folder !== from)) {
      write(`${from}/relative-${to}.ts`, importing(`../${to}/index.ts`), false);
      write(`${from}/deep/down/relative-${to}.ts`, importing(`../../../${to}/index.ts`), false);
    }
    write(`${from}/deep/own-${from}.ts`, importing('../index.ts'), true);
  }
  await assertRefused(repository, refused);
});

test('what is inside a folder is its own: only index.ts, commands.ts, the Kafka port and the stack state are public', async () => {
  using repository = emptyFolders();
  const refused: string[] = [];
  const write = writer(repository, refused);
  for (const from of folders) {
    for (const to of mayImport[from].filter((folder) => folder !== from)) {
      const isTest = from === 'test';
      // The doctor looks into connectors/: it asks the very functions that prepare and register.
      const isOpen = isTest || (from === 'doctor' && to === 'connectors');
      const isAboveAll = isTest || from === 'comparison' || from === 'bench';
      write(`${from}/inside-${to}.ts`, importing(`#${to}/inside.ts`), isOpen);
      write(`${from}/deep-inside-${to}.ts`, importing(`#${to}/deep/index.ts`), isOpen);
      write(`${from}/commands-${to}.ts`, importing(`#${to}/commands.ts`), isOpen || isAboveAll);
      write(`${from}/port-${to}.ts`, importing(`#${to}/port.ts`), isOpen || to === 'kafka');
      write(`${from}/state-${to}.ts`, importing(`#${to}/state/state.ts`), isOpen || (isAboveAll && to === 'stack'));
    }
  }
  await assertRefused(repository, refused);
});

test('verify takes the rows of tables from cdc-poller and the meaning of values from comparison; nobody else does', async () => {
  using repository = emptyFolders();
  const refused: string[] = [];
  const write = writer(repository, refused);
  for (const from of folders.filter((folder) => folder !== 'cdc-poller')) {
    write(`${from}/rows.ts`, importing('#cdc-poller/rows.ts'), from === 'verify' || from === 'test');
  }
  for (const from of folders.filter((folder) => folder !== 'comparison')) {
    write(`${from}/canonical.ts`, importing('#comparison/canonical/value.ts'), from === 'verify' || from === 'test');
  }
  write('verify/comparison-index.ts', importing('#comparison/index.ts'), false);
  await assertRefused(repository, refused);
});

test('types takes the fields of tables from cdc-poller, and what prints types from change-events; nobody else does', async () => {
  using repository = emptyFolders();
  const refused: string[] = [];
  const write = writer(repository, refused);
  for (const from of folders.filter((folder) => folder !== 'cdc-poller')) {
    write(`${from}/fields.ts`, importing('#cdc-poller/fields.ts'), from === 'types' || from === 'test');
  }
  for (const from of folders.filter((folder) => folder !== 'change-events')) {
    write(`${from}/printed.ts`, importing('#change-events/types/index.ts'), from === 'types' || from === 'test');
  }
  await assertRefused(repository, refused);
});

test('the doctor and project/ take the judge of tables from cdc-poller; nobody else does', async () => {
  using repository = emptyFolders();
  const refused: string[] = [];
  const write = writer(repository, refused);
  for (const from of folders.filter((folder) => folder !== 'cdc-poller')) {
    write(`${from}/judge.ts`, importing('#cdc-poller/judge.ts'), from === 'doctor' || from === 'project' || from === 'test');
  }
  write('connectors/poller-index.ts', importing('#cdc-poller/index.ts'), false);
  write('doctor/poller-source.ts', importing('#cdc-poller/postgres/catalog.ts'), false);
  await assertRefused(repository, refused);
});

for (const [file, stack] of [
  ['cli.ts', './stack'],
  ['cli/program.ts', '../stack'],
] as const) {
  test(`${file} takes index.ts and commands.ts of the folders, and nothing behind them`, async () => {
    using repository = emptyFolders();
    const lines = [
      '#kafka/index.ts',
      '#stack/commands.ts',
      '#stack/processes/start.ts',
      `${stack}/index.ts`,
      '#test/index.ts',
      '#bench/index.ts',
    ];
    repository.write(file, lines.map((specifier, at) => `export { value as value${at} } from '${specifier}';\n`).join(''));
    assert.deepEqual(
      await lintFindings(repository, { withTypes: false }),
      Array.from({ length: 4 }, () => `${file}: eslint(no-restricted-imports)`),
    );
  });
}

test('a folder that the configuration does not know yet may import pipeline/ only', async () => {
  using repository = emptyFolders();
  repository.write('new-folder/plain.ts', importing('#pipeline/index.ts'));
  repository.write('new-folder/too-far.ts', importing('#kafka/index.ts'));
  assert.deepEqual(await lintFindings(repository, { withTypes: false }), ['new-folder/too-far.ts: eslint(no-restricted-imports)']);
});

test('the arrows name every folder of sources that there is', () => {
  // cli/ is cli.ts's own; packaging/ only makes what a release consists of.
  const known: ReadonlySet<string> = new Set(['cli', 'packaging', ...folders]);
  const there = readdirSync(repositoryRoot, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !/^\.|^node_modules$/.test(entry.name),
  );
  const unknown = there.filter(
    ({ name }) => !known.has(name) && readdirSync(join(repositoryRoot, name)).some((file) => file.endsWith('.ts')),
  );
  assert.deepEqual(
    unknown.map(({ name }) => name),
    [],
  );
});
