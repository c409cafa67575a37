import type { CatalogueEntry } from './entry.ts';

/** The schema registry and the formats that need one. */
export const schemaErrors = {
  REGISTRY_CLIENT_MISSING: {
    cause:
      'A schema registry is used, and the npm package of its client is not installed: legacy-cdc-bridge does not install it by itself.',
    remedy: 'Install @confluentinc/schemaregistry beside legacy-cdc-bridge, in the version that the error names.',
    exitCode: 69,
  },
  REGISTRY_UNREACHABLE: {
    cause: 'The schema registry did not answer at the configured address, or answered with a server error.',
    remedy: 'Start it, or correct schemaRegistry.url and tls. Known schemas are used meanwhile.',
    exitCode: 69,
  },
  REGISTRY_REFUSED: {
    cause: 'The schema registry refused the login, or the user may not do this.',
    remedy: 'Correct schemaRegistry.username and password, or get the right granted.',
    exitCode: 77,
  },
  SCHEMA_INCOMPATIBLE: {
    cause:
      'The table has changed in a way that the compatibility level of its subject does not allow. No event of the new shape was written.',
    remedy:
      'Change the table back, lower the level of the subject for this one step, or publish under a new topic (poller.tables[].topic).',
    exitCode: 65,
  },
  SUBJECT_UNKNOWN: {
    cause: 'The schema registry has no such subject, or not that version of it.',
    remedy: 'cdc schemas list shows all subjects. A subject is a topic with -key or -value; a version follows an @.',
    exitCode: 66,
  },
  TABLE_NOT_CAPTURED: {
    cause: 'Types were asked for of a table that is not captured this way, or that has none.',
    remedy:
      'Name a table of the message, take the other --strategy, or capture the table first (poller.tables, table.include.list). cdc doctor says what is wrong with a table that is captured.',
    exitCode: 66,
  },
  TYPES_UNCERTAIN: {
    cause: "A connector's settings give its values other forms than this project's contract, so the catalogue does not say their types.",
    remedy: 'Set in the connector file what the message names; or make the types from its schemas, where it writes any: --from registry.',
    exitCode: 65,
  },
  TYPES_FILE_UNUSABLE: {
    cause: 'The file of types cannot be read or written.',
    remedy: 'Name a file in a folder that exists and may be written to (--out).',
    exitCode: 73,
  },
  SCHEMA_INVALID: {
    cause: 'The registry refuses the schema, or no schema can be derived from the table.',
    remedy: 'Read the reason in the message. Leave the column out (excludeColumns), or write the table as JSON.',
    exitCode: 65,
  },
} as const satisfies Readonly<Record<string, CatalogueEntry>>;
