import { accessFindings } from './access.ts';
import { connectFindings } from './connect.ts';
import { kafkaFindings } from './kafka.ts';
import { pollingFindings } from './polling.ts';
import { preparationFindings } from './preparation.ts';
import { replicationFindings } from './replication.ts';
import { unfitFindings } from './unfit.ts';

/** Every finding that cdc doctor can report, by area. docs/reference/findings.md is generated from it. */
export const findingAreas = {
  'Reaching the source, and rights': accessFindings,
  'Polling tables': pollingFindings,
  'Polling tables: what the poller refuses': unfitFindings,
  'Polling tables: topics and positions in Kafka': kafkaFindings,
  'The log: server, slots, transactions': replicationFindings,
  'The log: publication, heartbeat, replica identity': preparationFindings,
  'Kafka Connect': connectFindings,
} as const;

/** The same by code. A code is a contract: scripts match on it. */
export const findingCatalogue = {
  ...accessFindings,
  ...pollingFindings,
  ...unfitFindings,
  ...kafkaFindings,
  ...replicationFindings,
  ...preparationFindings,
  ...connectFindings,
} as const;
