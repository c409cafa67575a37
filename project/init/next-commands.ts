import { join } from 'node:path';
import type { ProjectPlan } from './project-files.ts';
import { shellQuoted } from './shell-words.ts';

/** How the user calls cdc: an npm script gives its name to what it runs, and npx its own. */
export function program(environment: NodeJS.ProcessEnv = process.env): string {
  const { npm_lifecycle_event: caller } = environment;
  if (caller === 'cdc') return 'npm run -s cdc --';
  return caller === 'npx' ? 'npx cdc' : 'cdc';
}

/** What to run after `cdc init`, in order, from the same folder: every line as a shell reads it. Pure. */
export function nextCommands({ polled, logged, legacyDb }: ProjectPlan, folder: string, cdc: string): string {
  // With a slash in it: a shell looks for `. .env` in its PATH.
  const file = (name: string): string => shellQuoted(folder === '.' ? `./${name}` : join(folder, name));
  const run = folder === '.' ? cdc : `${cdc} --config ${file('pipeline.yaml')}`;
  const [poller, model] = ['poller', 'read-model'].map((command) => `${run} ${command} start > ${file(`${command}.log`)} 2>&1 &`);
  return [
    `Look at ${file('pipeline.yaml')}. Have somebody who may do so run ${file('roles.sql')}${legacyDb.dialect === 'h2' ? ' over JDBC' : ''}. Then:`,
    '',
    `set -a; . ${file('.env')}; set +a`,
    ...(logged.length > 0 ? [`(set -a; . ${file('.env.owner')}; ${run} connectors prepare)`] : []),
    `${run} doctor`,
    ...(logged.length > 0 ? [`${run} connectors apply`] : []),
    ...(polled.length > 0 ? [poller ?? ''] : []),
    `${run} read-model migrate`,
    model ?? '',
    `${run} verify`,
  ].join('\n');
}
