import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { typeSamples } from '#test/support/value-samples.ts';

function read(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8');
}

/** `` - `test/unit/x.test.ts`: title `` in docs/invariants.md. */
const namedTest = /^- `(?<file>test\/[^`]+)`: (?<title>.+)$/gm;

/** Whether a test of this title is declared, however it is quoted and laid out. A seed may follow the title in brackets. */
function declares(source: string, title: string): boolean {
  const laidOut = source.replaceAll(/\btest\(\s+/g, 'test(');
  const exact = ["'", '"', '`'].some((quote) => laidOut.includes(`test(${quote}${title.replaceAll(quote, `\\${quote}`)}${quote}`));
  return exact || laidOut.includes(`test(\`${title} (seed \${`);
}

test('docs/invariants.md names a test for each invariant, and each of them exists under that title', () => {
  const sections = read('docs/invariants.md').split(/^## /m).slice(1);
  const numbers = sections.map((section) => Number.parseInt(section, 10)).filter((number) => !Number.isNaN(number));
  assert.deepEqual(
    numbers,
    Array.from({ length: Math.max(10, numbers.length) }, (_, index) => index + 1),
  );
  const problems: string[] = [];
  for (const section of sections) {
    const named = [...section.matchAll(namedTest)].map(({ groups }) => ({ file: groups?.['file'] ?? '', title: groups?.['title'] ?? '' }));
    if (named.length === 0 && !/^Not tested yet: .+\.$/m.test(section)) problems.push(`no test: ${section.split('\n')[0]}`);
    for (const { file, title } of named) {
      if (!existsSync(join(repositoryRoot, file))) problems.push(`no file ${file}`);
      else if (!declares(read(file), title)) problems.push(`no test in ${file}: ${title}`);
    }
  }
  assert.deepEqual(problems, []);
});

test('docs/change-event.md lists each value in which the strategies differ, and the JSON form of every type that is compared', () => {
  const [values = '', differences = ''] = read('docs/change-event.md').split('## Where the strategies differ');
  const missing: string[] = [];
  for (const { type, exceptions = {} } of typeSamples) {
    const base = type.replace(/\(.*\)|\[\]/g, '');
    const isOwn = base === 'mood' || base === 'positive';
    if (!isOwn && !new RegExp(`^\\|.*\`${base}(?:\\(\\w\\))?\`.*\\|`, 'm').test(values)) missing.push(type);
    for (const value of Object.keys(exceptions)) {
      if (!differences.includes(`| \`${type}\` ${value.replaceAll("'", '')} |`)) missing.push(`${type} ${value}`);
    }
  }
  assert.deepEqual(missing, []);
});

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

test('every link between the documents leads somewhere', () => {
  const broken: string[] = [];
  for (const file of globSync(['*.md', 'docs/**/*.md', 'connectors/sql/*.md'], { cwd: repositoryRoot })) {
    for (const [, target = ''] of read(file).matchAll(/\]\((?!https?:)(?<target>[^)\s]+)\)/g)) {
      const [path = '', anchor] = target.split('#');
      const linked = path === '' ? file : join(dirname(file), path);
      if (!existsSync(join(repositoryRoot, linked))) broken.push(`${file}: ${target}`);
      else if (
        anchor !== undefined &&
        ![...read(linked).matchAll(/^#+ (?<heading>.+)$/gm)].some(([, heading = '']) => anchorOf(heading) === anchor)
      ) {
        broken.push(`${file}: ${target} (no such heading)`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

/** Words that hide who does what: an error is reported, a table halts or waits, a cause is fixed. */
const hiding = /\b(?:tells?|told|stands?|stood|anew|mend(?:s|ed)?)\b(?!-)|\bwhose word counts\b|\bof ever\b/gi;

test('documents, catalogues and help use none of the words that CONTRIBUTING.md warns of', () => {
  const found: string[] = [];
  const files = globSync(['README.md', 'docs/**/*.md', 'pipeline/error-catalogue/*.ts', 'doctor/catalogue/*.ts'], { cwd: repositoryRoot });
  for (const file of files) {
    for (const [at, line] of read(file).split('\n').entries()) {
      const words = line.replaceAll(/stand-ins?/g, '').match(hiding);
      if (words !== null) found.push(`${file}:${at + 1}: ${words.join(', ')}`);
    }
  }
  assert.deepEqual(found, []);
});
