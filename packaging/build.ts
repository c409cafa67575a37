/**
 * Makes dist/package, the folder that `npm pack` makes the tarball of: `npm run build:package`. Compiled by tsc, beside the files that the
 * program reads at run time, at the same places as in the clone; so that a path from one file to another is the same in both.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { packedManifest, readManifest } from './manifest.ts';

const root = join(import.meta.dirname, '..');
const target = resolve(process.argv[2] ?? join(root, 'dist', 'package'));
const manifest = readManifest(root);
const folders = Object.keys(manifest.imports)
  .map((name) => name.slice(1).split('/', 1).join(''))
  .filter((folder) => folder !== 'test' && folder !== 'bench');
const entries = Object.values(manifest.exports).filter((file) => extname(file) === '.ts');

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
compile(['--outDir', target]);
declarations();
for (const file of ['README.md', 'LICENSE', 'pipeline.yaml', 'pipeline.schema.json']) cpSync(join(root, file), join(target, file));
// All that is no source and no page: SQL, poms, connector files, the gateway's page.
for (const folder of [...folders, 'projections']) {
  for (const entry of globSync(`${folder}/**/*`, { cwd: root, withFileTypes: true })) {
    if (!entry.isFile() || ['.ts', '.md'].includes(extname(entry.name))) continue;
    const file = join(entry.parentPath, entry.name);
    cpSync(file, join(target, file.slice(root.length + 1)));
  }
}
writeFileSync(join(target, 'package.json'), `${JSON.stringify(packedManifest(manifest, folders), null, 2)}\n`);

function compile(options: readonly string[], config = 'tsconfig.build.json'): void {
  execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', config, ...options], {
    cwd: root,
    stdio: 'inherit',
  });
}

/** Of the entries, and of what their declarations mention: the rest would be read by nobody. */
function declarations(): void {
  const whole = `${target}-declarations`;
  rmSync(whole, { recursive: true, force: true });
  const config = join(root, 'tsconfig.declarations.json');
  const compilerOptions = { removeComments: false, declaration: true, emitDeclarationOnly: true };
  writeFileSync(config, JSON.stringify({ extends: './tsconfig.build.json', compilerOptions, files: entries }));
  try {
    compile(['--outDir', whole], config);
  } finally {
    rmSync(config);
  }
  const seen = new Set<string>();
  const keep = (source: string): void => {
    if (seen.has(source)) return;
    seen.add(source);
    const file = source.replace(/\.ts$/, '.d.ts');
    const text = readFileSync(join(whole, file), 'utf8');
    mkdirSync(dirname(join(target, file)), { recursive: true });
    writeFileSync(join(target, file), text);
    for (const [, plain = '', called = ''] of text.matchAll(/from '([^']+\.ts)'|import\("([^"]+\.ts)"\)/g)) {
      const wanted = plain + called;
      keep(wanted.startsWith('#') ? wanted.slice(1) : join(dirname(source), wanted));
    }
  };
  for (const entry of entries) keep(join(entry));
  rmSync(whole, { recursive: true });
}
