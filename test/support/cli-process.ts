import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodeFlags } from '#pipeline/index.ts';

const run = promisify(execFile);
const cli = new URL('../../cli.ts', import.meta.url).pathname;
/** Says at the end how much memory the process has had at most. */
const tellsPeak = `data:text/javascript,process.on('exit',()=>process.stderr.write('peak '+process.resourceUsage().maxRSS+' kB'))`;

/** What `cdc …` prints as a process of its own, and its peak of memory in MiB. */
export async function cdcProcess(
  config: unknown,
  ...words: readonly string[]
): Promise<{ readonly printed: string; readonly peakMb: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-cli-'));
  try {
    const file = join(folder, 'pipeline.json');
    await writeFile(file, JSON.stringify(config));
    const args = [...nodeFlags, '--import', tellsPeak, cli, '--config', file, ...words];
    const { stdout, stderr } = await run(process.execPath, args, { maxBuffer: 2 ** 28 });
    return { printed: stdout, peakMb: Number(/peak (\d+) kB/.exec(stderr)?.[1]) / 1024 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
