import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JsonValue } from '#change-events/index.ts';

const run = promisify(execFile);

const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--verbatimModuleSyntax', '--erasableSyntaxOnly'];
const modules = ['--module', 'nodenext', '--target', 'esnext', '--allowImportingTsExtensions', '--types', '', '--ignoreConfig', '--noEmit'];

/** A folder of its own with TypeScript files in it, and the compiler. */
export type StrictCompiler = AsyncDisposable & {
  readonly folder: string;
  /** Writes these files, and gives what the compiler says of them, the strictest way: nothing where all is well. */
  compile(files: Readonly<Record<string, string>>): Promise<string>;
};

export async function strictCompiler(): Promise<StrictCompiler> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-types-'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const tsc = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'tsc');
  return {
    folder,
    async compile(files) {
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      try {
        await run(tsc, [...strict, ...modules, ...Object.keys(files)], { cwd: folder, maxBuffer: 2 ** 28 });
        return '';
      } catch (error) {
        return error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
      }
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A value as TypeScript. */
export function valueSource(value: JsonValue): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(valueSource).join(', ')}]`;
  return `{ ${Object.entries(value)
    .map(([name, member]) => `[${JSON.stringify(name)}]: ${valueSource(member)}`)
    .join(', ')} }`;
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
