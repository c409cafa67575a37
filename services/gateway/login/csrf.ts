import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Problem } from '../../http/problems.ts';

const reading: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * A browser sends a session's cookie with whatever page makes the request. A write must therefore come from a page of this gateway: the browser says so
 * (Sec-Fetch-Site, Origin), and the page knows the session's token, which no other page can read.
 *
 * @throws Problem cross-site
 */
export function requireOwnPage(
  { method, headers }: { readonly method: string; readonly headers: IncomingHttpHeaders },
  { publicUrl, csrfToken }: { readonly publicUrl: string; readonly csrfToken: string },
): void {
  if (reading.has(method)) return;
  const own = new URL(publicUrl).origin;
  const { 'sec-fetch-site': site, origin, 'x-csrf-token': token } = headers;
  if (site !== undefined && site !== 'same-origin') throw refused();
  // A browser that says neither cannot be told from another site's.
  if (site === undefined && origin === undefined) throw refused();
  if (origin !== undefined && origin !== own && !(origin === 'null' && site === 'same-origin')) throw refused();
  if (typeof token !== 'string' || !isEqual(token, csrfToken)) throw refused('The header X-CSRF-Token of /auth/session is missing or old.');
}

/** Without a login there is no token to know. Programs say nothing of a site. @throws Problem cross-site */
export function refuseOtherSites({ method, headers }: { readonly method: string; readonly headers: IncomingHttpHeaders }): void {
  if (reading.has(method)) return;
  const { 'sec-fetch-site': site, origin, host } = headers;
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw refused();
  if (origin !== undefined && URL.parse(origin)?.host !== host && site !== 'same-origin') throw refused();
}

function refused(detail = 'A write with a session must come from a page of this gateway.'): Problem {
  return new Problem('cross-site', detail);
}

function isEqual(one: string, other: string): boolean {
  return timingSafeEqual(hash(one), hash(other));
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
