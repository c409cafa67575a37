import type { CatalogueEntry } from './entry.ts';

/** Kafka Connect and what log-based capture needs. */
export const connectorErrors = {
  CONNECT_UNREACHABLE: {
    cause: 'Kafka Connect does not answer at the configured address.',
    remedy: 'Start it (cdc stack up), or correct connect.url. For a private CA set connect.tls.caFile.',
    exitCode: 69,
  },
  CONNECT_LOGIN_REFUSED: {
    cause: 'Kafka Connect, or a proxy in front of it, refuses the login.',
    remedy: 'Correct connect.username and connect.password.',
    exitCode: 77,
  },
  CONNECT_REQUEST_REFUSED: {
    cause: 'Kafka Connect answered a request with an error.',
    remedy: 'Read the message; the log of the worker has more.',
    exitCode: 70,
  },
  CONNECTOR_FILE_NOT_FOUND: {
    cause: 'A connector file does not exist or cannot be read.',
    remedy: 'Correct connect.connectors in pipeline.yaml. Paths are relative to that file.',
    exitCode: 78,
  },
  CONNECTOR_FILE_INVALID: {
    cause: 'A connector file does not have the format of Connect: {"name": …, "config": {…}}.',
    remedy: 'Correct the line or key in the message. connectors/legacy-orders.json is an example.',
    exitCode: 78,
  },
  CONNECTOR_CONFIG_INVALID: {
    cause: 'A setting of the connector is wrong. Nothing was created or changed.',
    remedy: 'Correct the settings in the message, then run cdc connectors validate.',
    exitCode: 78,
  },
  CONNECTOR_CAPTURES_LESS: {
    cause: 'The connector file would remove tables or columns from a running connector. Nothing was changed.',
    remedy:
      'If the file is older than what runs, update it (cdc connectors plan shows the difference). To remove them: cdc connectors apply without --keep-captured; in compose SETUP_ALLOW_LESS=yes docker compose up --detach --wait.',
    exitCode: 78,
  },
  CONNECTOR_NOT_FOUND: {
    cause: 'Kafka Connect has no connector with this name.',
    remedy: 'cdc connectors list shows all connectors; cdc connectors apply creates one.',
    exitCode: 69,
  },
  CONNECTOR_FAILED: {
    cause: 'The connector or one of its tasks is FAILED, or did not reach RUNNING in time.',
    remedy: 'Remove the cause in the message, then run cdc connectors restart or apply.',
    exitCode: 70,
  },
  SOURCE_PREPARE_FAILED: {
    cause: 'The source could not be prepared for log-based capture, or a table was left unprepared.',
    remedy: 'Remove the cause in the message and run cdc connectors prepare again. It keeps what is done and does nothing twice.',
    exitCode: 77,
  },
  CONNECTOR_EVENTS_LOST: {
    cause:
      'The replication slot no longer has the changes after the position of the connector: it was dropped, invalidated or created again. The changes in between are no longer in the log.',
    remedy:
      'cdc connectors offsets reset NAME --drop-slot takes a new snapshot. Rows deleted in between stay in consumers until you fill those again.',
    exitCode: 65,
  },
  OFFSETS_REFUSED: {
    cause: 'The connector cannot continue from the position to be set, or the position would skip changes.',
    remedy: 'cdc connectors offsets show NAME --json prints a position in the format of offsets set.',
    exitCode: 65,
  },
  SNAPSHOT_FAILED: {
    cause: 'An incremental snapshot was refused or aborted, or did not finish in time.',
    remedy: 'Check cdc connectors status. An incremental snapshot continues by itself when the connector runs again.',
    exitCode: 70,
  },
  SLOT_BUSY: {
    cause: 'A replication slot cannot be dropped while a connection uses it.',
    remedy: 'Stop or delete the connector that uses it, then drop the slot again.',
    exitCode: 75,
  },
} as const satisfies Record<string, CatalogueEntry>;
