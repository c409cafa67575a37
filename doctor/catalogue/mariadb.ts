import { accessFindings } from './access.ts';
import { connectFindings } from './connect.ts';
import { mariadbAccessFindings } from './mariadb-access.ts';
import { mariadbLogFindings } from './mariadb-log.ts';
import { mariadbPollingFindings } from './mariadb-polling.ts';
import { pollingFindings } from './polling.ts';
import { unfitFindings } from './unfit.ts';

/** What cdc doctor can find in a MariaDB; a code that Postgres has too means the same here, in the words of this server. */
export const mariadbAreas = {
  'MariaDB: reaching the source, and rights': mariadbAccessFindings,
  'MariaDB: polling tables': mariadbPollingFindings,
  'MariaDB: the binlog': mariadbLogFindings,
} as const;

const { LEGACY_DB_UNREACHABLE, ROLE_NOT_CONFIGURED } = accessFindings;
const { POLLED_QUERY, PATTERN_TAKES_NONE, CLOCK_OFFSET } = pollingFindings;

export const mariadbCatalogue = {
  LEGACY_DB_UNREACHABLE,
  ROLE_NOT_CONFIGURED,
  POLLED_QUERY,
  PATTERN_TAKES_NONE,
  CLOCK_OFFSET,
  ...unfitFindings,
  ...connectFindings,
  ...mariadbAccessFindings,
  ...mariadbPollingFindings,
  ...mariadbLogFindings,
} as const;
