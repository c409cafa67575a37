import { CdcError, type LegacyDbConfig } from '#pipeline/index.ts';

/** A database as a URL names it, and the role to look at it with. */
export type SourceUrl = { readonly legacyDb: LegacyDbConfig; readonly user: string; readonly password: string };

const dialects: Readonly<Record<string, { readonly dialect: NonNullable<LegacyDbConfig['dialect']>; readonly port: number }>> = {
  'postgres:': { dialect: 'postgres', port: 5432 },
  'postgresql:': { dialect: 'postgres', port: 5432 },
  'mariadb:': { dialect: 'mariadb', port: 3306 },
  'mysql:': { dialect: 'mariadb', port: 3306 },
  'h2:': { dialect: 'h2', port: 5435 },
};

/**
 * Reads `postgres://user:password@host:port/database`, the same with `mariadb`, `mysql` or `h2`. `?sslmode=require` (or `verify-full`) asks for TLS.
 *
 * @throws CdcError CONFIG_INVALID; the URL is not in it, since it may hold a password
 */
export function readSourceUrl(text: string): SourceUrl {
  const expected = { remedy: 'For example: --database postgres://owner:password@db.example.org:5432/shop' };
  if (!URL.canParse(text)) throw new CdcError('CONFIG_INVALID', 'the database is not a URL', expected);
  const url = new URL(text);
  const kind = dialects[url.protocol];
  if (kind === undefined) throw new CdcError('CONFIG_INVALID', `the database URL begins with ${url.protocol}//`, expected);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '' || url.hostname === '' || url.username === '')
    throw new CdcError('CONFIG_INVALID', 'the database URL lacks a user, a host or a database', expected);
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const sslmode = url.searchParams.get('sslmode') ?? url.searchParams.get('ssl-mode') ?? 'disable';
  const tls = ['disable', 'prefer', 'allow'].includes(sslmode) ? undefined : { rejectUnauthorized: sslmode.startsWith('verify') };
  return {
    user,
    password,
    legacyDb: {
      dialect: kind.dialect,
      // Of IPv6 the URL has brackets.
      host: url.hostname.replaceAll(/^\[|\]$/g, ''),
      port: url.port === '' ? kind.port : Number(url.port),
      database,
      ...(tls === undefined ? {} : { tls }),
      roles: { poller: { user, password } },
    },
  };
}
