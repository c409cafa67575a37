import type { LegacyDbConfig } from '#pipeline/index.ts';
import { h2 } from './h2/dialect.ts';
import { mariadb } from './mariadb/dialect.ts';
import { postgres } from './postgres/dialect.ts';
import type { Dialect } from './source/dialect.ts';

/** The databases that can be polled: each is a folder behind the contract in source/dialect.ts. */
const dialects = { postgres, mariadb, h2 } satisfies Record<NonNullable<LegacyDbConfig['dialect']>, Dialect>;

export function dialectOf({ dialect = 'postgres' }: Pick<LegacyDbConfig, 'dialect'>): Dialect {
  return dialects[dialect];
}
