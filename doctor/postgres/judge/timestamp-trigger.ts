import type { FoundTable, TriggerFacts } from '../probe/tables.ts';

/** Whether the database itself sets a column on every UPDATE. */
export type ColumnMover =
  | { readonly kind: 'moved' }
  | { readonly kind: 'unmoved'; readonly detail: string }
  | { readonly kind: 'unclear'; readonly detail: string };

/**
 * Reads it from the triggers' definitions and their functions' source. Only what is plain counts as moved: an enabled BEFORE UPDATE row
 * trigger, for any column, that assigns NEW.column or names the column in its arguments (moddatetime). Pure.
 */
export function columnMover({ triggers }: Pick<FoundTable, 'triggers'>, column: string): ColumnMover {
  const candidates = triggers.filter(({ beforeUpdate }) => beforeUpdate);
  const enabled = candidates.filter((trigger) => trigger.enabled);
  if (enabled.some((trigger) => moves(trigger, column) && unconditional(trigger))) return { kind: 'moved' };
  const conditional = enabled.find((trigger) => moves(trigger, column));
  if (conditional !== undefined) {
    const when = conditional.columns.length > 0 ? `for UPDATE OF ${conditional.columns.join(', ')}` : 'under its WHEN condition';
    return { kind: 'unclear', detail: `trigger ${conditional.name} sets it only ${when}` };
  }
  const opaque = enabled.find((trigger) => isOpaque(trigger, column));
  if (opaque !== undefined) {
    return {
      kind: 'unclear',
      detail: `trigger ${opaque.name} runs ${opaque.language} function ${opaque.function}, whose effect cannot be read`,
    };
  }
  const disabled = candidates.find((trigger) => !trigger.enabled && (moves(trigger, column) || isOpaque(trigger, column)));
  if (disabled !== undefined) return { kind: 'unmoved', detail: `trigger ${disabled.name} would, but it is disabled` };
  if (enabled.length === 0) return { kind: 'unmoved', detail: 'there is no BEFORE UPDATE row trigger; a default holds for INSERT only' };
  return {
    kind: 'unmoved',
    detail: `none of its BEFORE UPDATE triggers (${enabled.map(({ name }) => name).join(', ')}) mentions the column`,
  };
}

/** A statement `NEW.updated_at := …` or `= …` (elsewhere that compares), or `INTO NEW.updated_at`; or a ready-made function that takes the column's name as its argument. */
function moves({ source, arguments: given }: TriggerFacts, column: string): boolean {
  const name = String.raw`new\s*\.\s*(?:"${escapePattern(column.replaceAll('"', '""'))}"|${escapePattern(column)}(?!\w))`;
  const assigned = new RegExp(String.raw`(?:^|;|\b(?:begin|then|else|loop)\b|>>)\s*${name}\s*:?=|\binto\s+(?:strict\s+)?${name}`, 'i');
  return assigned.test(withoutComments(source)) || given.split(String.raw`\000`).includes(column);
}

/** In another language than PL/pgSQL, or by way of dynamic SQL or a record, a column may be set without being named as above. */
function isOpaque({ language, source }: TriggerFacts, column: string): boolean {
  if (language !== 'plpgsql') return true;
  const text = withoutComments(source);
  return (
    new RegExp(String.raw`(?<!\w)${escapePattern(column.replaceAll('"', '""'))}(?!\w)`, 'i').test(text) ||
    /\bnew\s*:?=|jsonb?_populate_record|hstore|#=|\bexecute\b/i.test(text)
  );
}

function unconditional({ columns, definition }: TriggerFacts): boolean {
  if (columns.length > 0) return false;
  // This condition only spares updates that change nothing.
  return !/\bWHEN \(/.test(definition) || /\bWHEN \(\(*old\.\* IS DISTINCT FROM new\.\*\)*\) EXECUTE/i.test(definition);
}

function withoutComments(source: string): string {
  // What looks like a comment within quotes is none.
  return source.replaceAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\//g, (part) => (/^["']/.test(part) ? part : ' '));
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
