import { accessFindings } from './access.ts';
import { connectFindings } from './connect.ts';
import { mariadbAccessFindings } from './mariadb-access.ts';
import { mariadbLogFindings } from './mariadb-log.ts';
import { mariadbPollingFindings } from './mariadb-polling.ts';
import { pollingFindings } from './polling.ts';

/** What cdc doctor can find in a MariaDB; a code that Postgres has too means the same here, in the words of this server. */
export const mariadbAreas = {
  'MariaDB: reaching the source, and rights': mariadbAccessFindings,
  'MariaDB: polling tables': mariadbPollingFindings,
  'MariaDB: the binlog': mariadbLogFindings,
} as const;

const { SERVER_UNREACHABLE, ROLE_NOT_CONFIGURED } = accessFindings;
const { COLUMN_UNKNOWN, COLUMN_TYPE, KEY_MISSING, IDS_NOT_ASCENDING, POLLED_QUERY, CLOCK_OFFSET } = pollingFindings;

export const mariadbCatalogue = {
  SERVER_UNREACHABLE,
  ROLE_NOT_CONFIGURED,
  COLUMN_UNKNOWN,
  COLUMN_TYPE,
  KEY_MISSING,
  IDS_NOT_ASCENDING,
  POLLED_QUERY,
  CLOCK_OFFSET,
  ...connectFindings,
  ...mariadbAccessFindings,
  ...mariadbPollingFindings,
  ...mariadbLogFindings,
} as const;
