import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

const versions = z.record(z.string(), z.string()).optional();
const manifest = z
  .object({ dependencies: versions, peerDependencies: versions, devDependencies: versions })
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')));

/** The command that installs one of the packages that package.json names, in the version that this one is tested with. */
export function installLine(name: string): string {
  const wanted = manifest.peerDependencies?.[name] ?? manifest.dependencies?.[name] ?? manifest.devDependencies?.[name];
  return `npm install ${name}${wanted === undefined ? '' : `@${wanted}`}`;
}
