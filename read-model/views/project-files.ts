import { glob, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { readProjections, type ProjectionFile } from './projection-file.ts';

/** Where projections are unless a model says otherwise: beside pipeline.yaml. */
const usual = ['projections/*.sql'];

/**
 * The projection files of a model, which are named relative to the folder of pipeline.yaml.
 *
 * @param patterns paths, or patterns with `*`; default projections/*.sql
 * @throws CdcError READ_MODEL_PROJECTION_INVALID for a name that means no file
 */
export async function projectionFilesOf(folder: string, patterns: readonly string[] | undefined): Promise<readonly ProjectionFile[]> {
  const files: string[] = [];
  for (const pattern of patterns ?? usual) {
    const found = (await Array.fromAsync(glob(pattern, { cwd: folder }))).toSorted();
    if (found.length === 0 && patterns !== undefined)
      throw new CdcError('READ_MODEL_PROJECTION_INVALID', `${pattern}: no such file in ${folder}`, {
        remedy: 'Correct readModel.models.<model>.projections: paths relative to pipeline.yaml, or patterns with *.',
      });
    files.push(...found);
  }
  return readProjections(
    await Promise.all([...new Set(files)].map(async (file) => ({ file, text: await readFile(resolve(folder, file), 'utf8') }))),
  );
}
