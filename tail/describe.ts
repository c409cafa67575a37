import { stringifyLossless, type JsonValue, type Operation } from '#change-events/index.ts';
import { visibleLine } from '#pipeline/index.ts';
import { changesOf, type ColumnChange, type TailEvent } from './read-event.ts';

/** Characters of a value that are shown. */
const longest = 60;

const words: Readonly<Record<Operation, string>> = { c: 'insert', u: 'update', d: 'delete', r: 'snapshot', t: 'truncate' };

/** An event as one line: when, by which strategy, what, which row, what changed, and how long it took to Kafka. Pure. */
export function describeEvent(event: TailEvent): string {
  const { strategy, place } = event;
  const at = `${place.topic}/${place.partition} offset ${place.offset}`;
  switch (event.kind) {
    case 'unreadable':
      return visibleLine(`${blank(24)}  ${strategy.padEnd(5)}  ${event.code} at ${at}: ${event.message}`);
    case 'tombstone':
      return visibleLine(`${timeText(event.writtenAt)}  ${strategy.padEnd(5)}  ${'tombstone'.padEnd(8)}  ${event.key}`);
    case 'change': {
      const { op, key, changedAt, delayMs } = event;
      const head = [timeText(changedAt), strategy.padEnd(5), words[op].padEnd(8), ...(op === 't' ? [] : [key])];
      const changes = changesOf(event).map(describeChange).join(', ');
      const what = op === 't' ? 'all rows' : changes === '' && op === 'u' ? 'no column differs' : changes;
      return visibleLine([...head, ...(what === '' ? [] : [what]), ...(delayMs === null ? [] : [delayText(delayMs)])].join('  '));
    }
  }
}

/** The same for programs: JSON on one line, with every digit and every value whole. */
export function eventJson(event: TailEvent): string {
  const { strategy, place } = event;
  const where = { strategy, topic: place.topic, partition: place.partition, offset: place.offset };
  switch (event.kind) {
    case 'unreadable':
      return stringifyLossless({ ...where, error: { code: event.code, message: event.message } });
    case 'tombstone':
      return stringifyLossless({ ...where, op: null, key: event.keyRow, writtenAt: isoText(event.writtenAt) });
    case 'change': {
      const { op, keyRow, before, after, changedAt, writtenAt, delayMs } = event;
      const times = { changedAt: isoText(changedAt), writtenAt: isoText(writtenAt), delayMs };
      return stringifyLossless({ ...where, op, key: keyRow, before, after, ...times });
    }
  }
}

function describeChange(change: ColumnChange): string {
  switch (change.kind) {
    case 'left-out':
      return `${change.column}: (unchanged, not in the log)`;
    case 'changed':
      return `${change.column}: ${valueText(change.from)} -> ${valueText(change.to)}`;
    case 'value':
      return `${change.column}: ${valueText(change.value)}`;
  }
}

/** Cut between characters, never within one. */
function valueText(value: JsonValue): string {
  const text = stringifyLossless(value);
  if (text.length <= longest) return text;
  return `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}… (${text.length} characters)`;
}

function timeText(ms: number | null): string {
  return (isoText(ms) ?? '-').padEnd(24);
}

/** Null too for a time beyond what a Date can be. */
function isoText(ms: number | null): string | null {
  if (ms === null) return null;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** `+120 ms`, `+12.3 s`, `+5 min`: from the change to Kafka. Negative where the clocks of source and broker differ. */
function delayText(ms: number): string {
  const sign = ms < 0 ? '-' : '+';
  const size = Math.abs(ms);
  if (size < 10_000) return `${sign}${Math.round(size)} ms`;
  if (size < 120_000) return `${sign}${(size / 1000).toFixed(1)} s`;
  return `${sign}${Math.round(size / 60_000)} min`;
}

function blank(width: number): string {
  return '-'.padEnd(width);
}
