import { CdcError } from '#pipeline/index.ts';

/**
 * What an error means that was met while events were read, followed, applied or retried. Closed: what no rule knows is `other`.
 *
 * - `passing`: the same again may succeed. It is tried again, for as long as it takes, and shows in the status.
 * - `kafka`: Kafka is away or a topic is gone. The membership begins again.
 * - `event`: the event is at fault. It is parked, or its table halts before it.
 * - `model`: the whole model can do nothing more. It ends, others of the process go on.
 * - `other`: something else is wrong. The partition halts before the event and is tried every second.
 */
export type Fault = 'passing' | 'kafka' | 'event' | 'model' | 'other';

/**
 * SQLSTATEs (and classes, by their two letters): connections, resources (disk full, too many connections), rollbacks (deadlock,
 * serialization), a standby, locks and statements that were given up or cancelled, sessions that were ended, a server that starts or stops.
 */
const passingStates: ReadonlySet<string> = new Set('08 53 40 25006 25P03 25P04 55P03 55006 57014 57P01 57P02 57P03 57P05 58030'.split(' '));
const passingCodes: ReadonlySet<string> = new Set(
  'ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH ENETDOWN ECONNABORTED'.split(' '),
);
/** pg has no codes for what happens to its connections. */
const connectionMessage =
  /connection (?:terminated|error)|not queryable|timeout exceeded when trying to connect|client was closed|Query read timeout/i;

/** SQLSTATEs that speak of the data: the event is at fault, not the server or the model's tables. */
const eventStates: ReadonlySet<string> = new Set(['22', '23', '54', '42804', '42846', 'P0001']);

/** Of these, those by which a column's type says that it cannot hold a value: its text, its range, its length, its precision. */
const mismatchStates: ReadonlySet<string> = new Set(['22P02', '22007', '22008', '22003', '22001', '42804', '42846']);

const ofKafka: ReadonlySet<string> = new Set(['KAFKA_UNREACHABLE', 'TOPIC_MISSING']);
const ofEvent: ReadonlySet<string> = new Set([
  'EVENT_UNDECODABLE',
  'READ_MODEL_EVENT_INAPPLICABLE',
  'READ_MODEL_SCHEMA_CHANGED',
  'READ_MODEL_COLUMN_UNFIT',
]);
const ofModel: ReadonlySet<string> = new Set([
  'READ_MODEL_PROJECTIONS_CHANGED',
  'READ_MODEL_NOT_MIGRATED',
  'READ_MODEL_NOT_CONFIGURED',
  'READ_DB_UNREACHABLE',
  'CONSUMER_TRANSACTION_ENDED',
  'CONSUMER_CONNECTION_TAKEN',
]);

export function faultOf(error: unknown): Fault {
  if (error instanceof AggregateError) return error.errors.some((one) => faultOf(one) === 'passing') ? 'passing' : 'other';
  if (!(error instanceof Error)) return 'other';
  if (error instanceof CdcError) return faultOfCode(error.code);
  // Named here: whoever throws them imports this.
  if (error.name === 'MissingRowError' || error.name === 'ColumnMismatchError') return 'event';
  const code = codeOf(error);
  if (code === undefined) return connectionMessage.test(error.message) ? 'passing' : 'other';
  if (passingCodes.has(code) || isOf(code, passingStates)) return 'passing';
  return isOf(code, eventStates) ? 'event' : 'other';
}

/** Whether a value is not of its column's type: a change of the source's table that its mirror has not followed. */
export function isMismatch(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'ColumnMismatchError' || mismatchStates.has(codeOf(error) ?? '');
}

function faultOfCode(code: string): Fault {
  if (ofKafka.has(code)) return 'kafka';
  if (code === 'REGISTRY_UNREACHABLE' || code === 'READ_MODEL_LOCKED') return 'passing';
  if (ofEvent.has(code)) return 'event';
  return ofModel.has(code) ? 'model' : 'other';
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** SQLSTATEs have five characters, the first two of which are their class. */
function isOf(state: string, states: ReadonlySet<string>): boolean {
  return states.has(state) || (state.length === 5 && states.has(state.slice(0, 2)));
}

/** Errors that end the model where an event that cannot be applied is to (`onPoison: stop`). */
export function endsModel(error: unknown, onPoison: 'park' | 'stop'): boolean {
  const fault = faultOf(error);
  return fault === 'model' || (fault === 'event' && onPoison === 'stop');
}
