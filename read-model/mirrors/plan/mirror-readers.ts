import { queryText, text, type Database } from '../../database.ts';
import { dependantsOfTables, inWords } from '../../rebuild/dependants.ts';
import { historyTable } from '../own-columns.ts';

/** Why a mirror cannot be dropped as it is, and what to do first. */
export type DropRefusal = { readonly mirror: string; readonly why: string; readonly remedy: string };

/**
 * Who reads mirrors of the session's current schema: its projections, and what users have made on a mirror or its history. To be asked within a transaction; mirrors
 * that nobody reads are left out.
 */
export async function whyNotDropped(database: Database, mirrors: readonly string[]): Promise<readonly DropRefusal[]> {
  if (mirrors.length === 0) return [];
  const [current] = await queryText(database, 'SELECT current_schema()');
  const model = text(current ?? [], 0);
  // A projection's columns are of its mirror: who reads one column reads the table.
  const projections = await queryText(
    database,
    `SELECT p.name, p.file, read.mirror FROM model_projections p, jsonb_array_elements_text(p.definition -> 'reads') AS read (mirror)
      WHERE read.mirror = ANY ($1::text[]) ORDER BY p.name`,
    [mirrors],
  );
  const refusals: DropRefusal[] = [];
  for (const mirror of mirrors) {
    const files = projections.filter((row) => row[2] === mirror).map((row) => ({ view: text(row, 0), file: text(row, 1) }));
    const own = await dependantsOfTables(database, model, [mirror, historyTable(mirror)]);
    if (files.length === 0 && own.length === 0) continue;
    const drops = own.flatMap(({ drop }) => drop ?? []);
    refusals.push({
      mirror,
      why: [
        ...files.map(({ view, file }) => `${file} reads it, for the view ${view}`),
        ...(own.length === 0 ? [] : [`${inWords(own.map(({ name }) => name))} would go with it`]),
      ].join('; '),
      remedy: [
        ...(files.length === 0
          ? []
          : [
              `Take ${mirror} out of ${files.map(({ file }) => file).join(', ')} (or the file away) and bring that in: cdc read-model rebuild --model ${model} --switch (while nothing is applied yet: cdc read-model migrate --model ${model})`,
            ]),
        ...(drops.length === 0 ? [] : [`Drop what hangs on it, and make it again afterwards if it is needed: ${drops.join('; ')}`]),
        ...(own.length === drops.length ? [] : ['Take away what else hangs on it']),
        `Then: cdc read-model migrate --model ${model} --drop ${mirror}`,
      ].join('. '),
    });
  }
  return refusals;
}
