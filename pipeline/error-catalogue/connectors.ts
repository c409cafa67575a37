import type { CatalogueEntry } from './entry.ts';

/** Kafka Connect and what log-based capture needs. */
export const connectorErrors = {
  CONNECT_UNREACHABLE: {
    cause: 'Kafka Connect does not answer at the configured address.',
    remedy: 'Start it (cdc stack up), or correct connect.url; a private CA is named in connect.tls.caFile.',
    exitCode: 69,
  },
  CONNECT_LOGIN_REFUSED: {
    cause: 'Kafka Connect, or the proxy before it, refuses the user.',
    remedy: 'Correct connect.username and connect.password.',
    exitCode: 77,
  },
  CONNECT_REQUEST_REFUSED: {
    cause: 'Kafka Connect answered a request with an error.',
    remedy: "Read its words; the worker's log has more.",
    exitCode: 70,
  },
  CONNECTOR_FILE_NOT_FOUND: {
    cause: 'A connector configuration file does not exist or cannot be read.',
    remedy: 'Correct connect.connectors in pipeline.yaml; paths are relative to it.',
    exitCode: 78,
  },
  CONNECTOR_FILE_INVALID: {
    cause: 'A connector configuration file is not what Connect takes: {"name": …, "config": {…}}.',
    remedy: 'Correct the line or key that is named; connectors/legacy-orders.json is an example.',
    exitCode: 78,
  },
  CONNECTOR_CONFIG_INVALID: {
    cause: 'A setting of the connector is wrong: nothing was created or changed.',
    remedy: 'Correct the settings that are named, then run cdc connectors validate.',
    exitCode: 78,
  },
  CONNECTOR_NOT_FOUND: {
    cause: 'Kafka Connect has no connector of this name.',
    remedy: 'cdc connectors list shows what there is; cdc connectors apply creates.',
    exitCode: 69,
  },
  CONNECTOR_FAILED: {
    cause: 'The connector or one of its tasks is FAILED, or does not reach RUNNING in time.',
    remedy: 'Remove the cause that is named, then run cdc connectors restart or apply.',
    exitCode: 70,
  },
  SOURCE_PREPARE_FAILED: {
    cause: "The owner's script for log-based capture (connectors/sql) could not be carried out in the source.",
    remedy: 'Remove the cause that is named and run cdc connectors prepare again: what is done already stays, nothing is done twice.',
    exitCode: 77,
  },
  CONNECTOR_EVENTS_LOST: {
    cause:
      'The replication slot no longer holds what follows the position of the connector: it was dropped, invalidated or made anew. The changes in between are not in the log any more.',
    remedy:
      'cdc connectors offsets reset NAME --drop-slot takes a new snapshot; rows deleted in between stay in consumers until they are filled anew.',
    exitCode: 65,
  },
  OFFSETS_REFUSED: {
    cause: 'A position would be set that the connector cannot go on from, or that skips changes.',
    remedy: 'cdc connectors offsets show NAME --json prints a position in the form that offsets set takes.',
    exitCode: 65,
  },
  SNAPSHOT_FAILED: {
    cause: 'An incremental snapshot was refused, was aborted, or did not report its end in time.',
    remedy: 'Look at cdc connectors status; an incremental snapshot goes on by itself when the connector runs again.',
    exitCode: 70,
  },
  SLOT_BUSY: {
    cause: 'A replication slot cannot be dropped while a connection uses it.',
    remedy: 'Stop or delete the connector that uses it, then drop the slot again.',
    exitCode: 75,
  },
} as const satisfies Record<string, CatalogueEntry>;
