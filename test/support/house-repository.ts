import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** This repository's root. */
export const repositoryRoot = join(import.meta.dirname, '..', '..');

/** The files that say how the house is kept; a temporary repository gets the real ones. */
const houseFiles = ['.oxlintrc.json', '.oxfmtrc.json', 'knip.json', 'tsconfig.json', 'package.json', '.gitignore'];

/**
 * A temporary folder laid out like this repository, with its real configuration files: their globs are relative to the
 * configuration, so only there do they treat a fixture as they treat the folder that the fixture represents.
 */
export class HouseRepository implements Disposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'house-')));

  constructor() {
    for (const file of houseFiles) cpSync(join(repositoryRoot, file), join(this.folder, file));
    symlinkSync(join(repositoryRoot, 'node_modules'), join(this.folder, 'node_modules'));
  }

  write(path: string, text: string): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** Lays a folder of test/fixtures/lint over this repository's root. */
  overlay(fixture: string): void {
    cpSync(join(repositoryRoot, 'test/fixtures/lint', fixture), this.folder, { recursive: true });
  }

  /** Runs a tool of node_modules/.bin in this repository, whatever it ends with. */
  run(tool: string, ...args: readonly string[]): Promise<{ readonly exitCode: number; readonly output: string }> {
    const command = join(repositoryRoot, 'node_modules/.bin', tool);
    return new Promise((resolve, reject) => {
      execFile(command, [...args], { cwd: this.folder, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ exitCode: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` });
      });
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
