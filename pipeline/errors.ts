/**
 * The one catalogue of errors. Every error that a user may meet has a code here, with its cause and its remedy; the code that
 * throws adds the place (file and key, table and column, topic and offset) and the particulars.
 */

/** What a code means whatever the place: why it happens and what to do about it. `exitCode` is what the CLI ends with. */
export type CatalogueEntry = { readonly cause: string; readonly remedy: string; readonly exitCode: number };

export const errorCatalogue = {
  // 64-78 follow sysexits.h where one fits: 64 usage, 69 unavailable, 70 internal, 73 cannot create, 75 try again, 77 permission, 78 configuration.
  CONFIG_NOT_FOUND: {
    cause: 'The configuration file does not exist or cannot be read.',
    remedy: 'Pass --config FILE, or run the command in the folder that holds pipeline.yaml.',
    exitCode: 78,
  },
  CONFIG_SYNTAX: { cause: 'The configuration file is not valid YAML.', remedy: 'Correct the line that is named.', exitCode: 78 },
  CONFIG_INVALID: {
    cause: 'A setting is missing, unknown or of the wrong type.',
    remedy: 'Correct the setting that is named; pipeline.schema.json lists all of them.',
    exitCode: 78,
  },
  CONFIG_ENV_MISSING: {
    cause: 'The configuration refers to an environment variable that is not set and has no default.',
    remedy: 'Set the variable, or write a default as ${NAME:-default}.',
    exitCode: 78,
  },
  KAFKA_UNREACHABLE: {
    cause: 'No broker answered at the configured address ("Broker may not be available").',
    remedy: 'Start Kafka (cdc stack up), or correct kafka.brokers; check that advertised.listeners names an address this host reaches.',
    exitCode: 69,
  },
  KAFKA_MESSAGE_TOO_LARGE: {
    cause: 'One event is larger than the topic accepts (max.message.bytes).',
    remedy: 'Raise max.message.bytes of the topic, or exclude the large column.',
    exitCode: 65,
  },
  PRODUCER_FENCED: {
    cause: 'Another process with the same poller name has taken over this table (newer transactional id epoch).',
    remedy: 'Run one process per poller name, or give this one another poller.name.',
    exitCode: 75,
  },
  TOPIC_MISSING: {
    cause: 'A topic that is to be read does not exist.',
    remedy: 'Start the producer of the topic first, or create the topic.',
    exitCode: 69,
  },
  EVENT_UNDECODABLE: {
    cause: 'A message is not a change event of the contract.',
    remedy: 'See docs/change-event.md for the format; find who else writes to the topic.',
    exitCode: 65,
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

/**
 * An error with a code of the catalogue. `message` is one sentence that names what and where; `remedy` is what to do (the catalogue's
 * unless a more particular one is given). Never carries a secret.
 */
export class CdcError extends Error {
  override readonly name = 'CdcError';
  readonly code: ErrorCode;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, options: { readonly remedy?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy ?? errorCatalogue[code].remedy;
  }

  get exitCode(): number {
    return errorCatalogue[this.code].exitCode;
  }
}

/** The text of anything thrown, for a message or a log line; never throws itself. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describeError).join('; ');
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  return String(error);
}
