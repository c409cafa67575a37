import type { TableShape } from '../canonical/shape.ts';
import { quoteName, quoteTable } from '../source/catalogue.ts';
import type { Session } from '../source/session.ts';
import { measured, notMeasured, type Measured } from '../measured.ts';
import { mergeDiff, type RowDifferences } from './merge.ts';
import { orderViewAtSource, orderViewInModel, orderViewTables } from './order-view.ts';
import { keyOrderOf, streamRelation, type Relation } from './relation.ts';

/** A model's tables and view against the source, by `schema.table`; the view is null when the source is not the order system. */
export type FinalState = {
  readonly tables: Readonly<Record<string, Measured<RowDifferences>>>;
  readonly orderView: Measured<RowDifferences>;
};

export type CompareStateOptions = {
  readonly source: Session;
  readonly model: Session;
  /** The model's schema in the read database. */
  readonly schema: string;
  readonly shapes: readonly TableShape[];
  readonly listedKeys: number;
};

/** Compares every mirror table and the order view of one model with the source, each side as of one moment. */
export async function compareState(options: CompareStateOptions): Promise<FinalState> {
  const { source, model, schema, shapes, listedKeys } = options;
  return source.readOnly(() =>
    model.readOnly(async () => {
      const diff = async (atSource: Relation, inModel: Relation): Promise<RowDifferences> =>
        mergeDiff(streamRelation(source, atSource), streamRelation(model, inModel), {
          columns: atSource.columns,
          keyOrder: atSource.keyOrder,
          listedKeys,
        });
      const tables: Record<string, Measured<RowDifferences>> = {};
      for (const shape of shapes) {
        const mirror = await findMirror(model, schema, shape);
        tables[shape.id] =
          mirror === null
            ? notMeasured(`${schema} has no mirror of ${shape.id}`)
            : measured(await diff({ ...mirror, from: quoteTable(shape) }, mirror));
      }
      const orderSystem = orderViewTables.every((id) => shapes.some((shape) => shape.id === id));
      const view = await model.rows(`SELECT to_regclass($1)::text`, [`${quoteName(schema)}.order_view`]);
      if (!orderSystem) return { tables, orderView: notMeasured('the tables compared are not those of the order system') };
      if (view[0]?.[0] === null) return { tables, orderView: notMeasured(`${schema} has no order_view`) };
      return { tables, orderView: measured(await diff(orderViewAtSource, orderViewInModel(quoteName(schema)))) };
    }),
  );
}

/** The mirror of a table, with the columns that it copies. */
async function findMirror(model: Session, schema: string, shape: TableShape): Promise<Relation | null> {
  const rows = await model.rows(
    `SELECT m.mirror_table, a.attname
       FROM ${quoteName(schema)}.mirrored_tables m
       JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', $1::text, m.mirror_table)) AND a.attnum > 0 AND NOT a.attisdropped
      WHERE m.source_schema = $2 AND m.source_table = $3`,
    [schema, shape.schema, shape.table],
  );
  const table = rows[0]?.[0];
  if (table === undefined || table === null) return null;
  const present = new Set(rows.map(([, column]) => column));
  return {
    from: quoteTable({ schema, table }),
    key: shape.key,
    keyOrder: keyOrderOf(shape),
    columns: shape.columns.map(({ name }) => name).filter((name) => present.has(name) && !shape.key.includes(name)),
  };
}
