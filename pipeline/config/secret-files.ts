import { readFile } from 'node:fs/promises';
import { CdcError, describeError } from '../errors.ts';
import type { Environment } from './interpolate.ts';

/**
 * The environment with each variable that `text` refers to and that is not set itself, but whose `<NAME>_FILE` names a file: its value is
 * that file's content without the last line break. It is the convention of Docker's official images for secrets, which are then in no
 * process' environment and in no `docker inspect`.
 *
 * @throws CdcError CONFIG_ENV_MISSING for a file that cannot be read
 */
export async function withSecretFiles(text: string, environment: Environment): Promise<Environment> {
  const found: [string, string][] = [];
  const missing: string[] = [];
  for (const name of new Set([...text.matchAll(/\$\{(?<name>[A-Za-z_]\w*)/g)].map(({ groups }) => groups?.['name'] ?? ''))) {
    const file = environment[`${name}_FILE`] ?? '';
    if ((environment[name] ?? '') !== '' || file === '') continue;
    try {
      found.push([name, (await readFile(file, 'utf8')).replace(/\r?\n$/, '')]);
    } catch (error) {
      missing.push(`environment variable ${name}_FILE names a file that cannot be read: ${describeError(error)}`);
    }
  }
  if (missing.length > 0) throw new CdcError('CONFIG_ENV_MISSING', missing.join('\n'));
  return { ...environment, ...Object.fromEntries(found) };
}
