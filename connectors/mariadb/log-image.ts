import type { LogImage } from '../postgres/facts/log-image.ts';

/**
 * What events of MariaDB's log have of a row. Its binlog has whole rows (binlog_row_image=FULL). Of a `time` that is no time of the day Debezium makes null, where the
 * column takes null; where it does not, its connector stops.
 */
export const mariadbLogImage: LogImage = { before: 'row', absent: new Set(), nullInstead: new Set(), uncertain: new Set(), apart: [] };
