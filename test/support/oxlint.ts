import * as z from 'zod';
import type { HouseRepository } from './house-repository.ts';

const report = z.object({ diagnostics: z.array(z.object({ code: z.string(), filename: z.string() })) });

/** Lints a whole temporary repository as `npm run check:lint` does; what is found as sorted `file: rule`. Rules without types are quicker. */
export async function lintFindings(repository: HouseRepository, { withTypes = true } = {}): Promise<readonly string[]> {
  const { output } = await repository.run('oxlint', ...(withTypes ? ['--type-aware'] : []), '--deny-warnings', '--format', 'json');
  const { diagnostics } = report.parse(JSON.parse(output));
  return diagnostics.map(({ filename, code }) => `${filename}: ${code}`).toSorted();
}
