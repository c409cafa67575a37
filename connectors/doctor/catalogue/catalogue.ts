import { accessFindings } from './access.ts';
import { connectFindings } from './connect.ts';
import { pollingFindings } from './polling.ts';
import { preparationFindings } from './preparation.ts';
import { replicationFindings } from './replication.ts';

/** Every finding that cdc doctor can have, by area. docs/doctor.md is generated from it. */
export const findingAreas = {
  'Reaching the source, and rights': accessFindings,
  'Polling tables': pollingFindings,
  'The log: server, slots, transactions': replicationFindings,
  'The log: publication, heartbeat, replica identity': preparationFindings,
  'Kafka Connect': connectFindings,
} as const;

/** The same by code. A code is a contract: scripts match on it. */
export const findingCatalogue = {
  ...accessFindings,
  ...pollingFindings,
  ...replicationFindings,
  ...preparationFindings,
  ...connectFindings,
} as const;
