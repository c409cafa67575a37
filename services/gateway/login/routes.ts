import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { randomNonce, randomPKCECodeVerifier, randomState } from 'openid-client';
import { describeError, type Logger } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import type { Served } from '../../http/server.ts';
import type { Cookies } from './cookies.ts';
import { requireOwnPage } from './csrf.ts';
import type { Guard } from './guard.ts';
import type { IdentityProvider } from './provider.ts';
import { localPath } from './return-to.ts';
import { createSeal } from './sealed.ts';
import type { Sessions } from './sessions.ts';

export type LoginRoutesOptions = {
  readonly provider: IdentityProvider;
  readonly sessions: Sessions;
  readonly guard: Guard;
  readonly cookies: Cookies;
  readonly publicUrl: string;
  readonly logger: Logger;
  readonly onLogin: (outcome: 'begun' | 'done' | 'failed') => void;
};

export const loginServed: readonly Served[] = [
  { path: /^\/auth\/(?:login|callback|session)$/, methods: ['GET'] },
  { path: /^\/auth\/logout$/, methods: ['POST'] },
];

/**
 * `/auth/login?return_to=…` sends a browser to the provider, `/auth/callback` takes it back, `/auth/session` says who is logged in, `POST /auth/logout` ends the
 * session here and says where it ends at the provider.
 */
export function serveLogin(
  app: FastifyInstance,
  { provider, sessions, guard, cookies, publicUrl, logger, onLogin }: LoginRoutesOptions,
): void {
  const pending = createSeal();
  const errorHandler = (error: Error, request: FastifyRequest, reply: FastifyReply): void => {
    if (!(error instanceof Problem) || !/\btext\/html\b/.test(request.headers.accept ?? '')) throw error;
    if (error.cause !== undefined) logger.warn({ reason: describeError(error.cause) }, error.message);
    void reply.code(error.statusCode).headers(error.headers).type('text/html; charset=utf-8').send(failedPage(error.message));
  };
  app.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/auth/')) reply.header('cache-control', 'no-store');
  });

  app.get<{ Querystring: { return_to?: unknown } }>('/auth/login', { errorHandler }, async (request, reply) => {
    const checks = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() };
    const url = await provider.loginUrl(checks);
    cookies.setLogin(reply, await pending.seal({ ...checks, returnTo: localPath(request.query.return_to, publicUrl) }));
    onLogin('begun');
    return reply.redirect(url, 303);
  });

  app.get<{ Querystring: { state?: unknown } }>('/auth/callback', { errorHandler }, async (request, reply) => {
    // Good for one try, whatever comes of it.
    cookies.clearLogin(reply);
    try {
      const begun = await pending.open(cookies.login(request));
      const { state } = request.query;
      if (begun === null || typeof state !== 'string' || !isEqual(state, begun.state)) throw notBegunHere();
      const who = await provider.finishLogin(new URL(request.url, publicUrl), begun);
      const before = guard.sessionOf(request);
      if (before !== null) sessions.end(before);
      // A new id: whoever knew the one before knows nothing now.
      cookies.setSession(reply, sessions.create(who).id);
      onLogin('done');
      return await reply.redirect(begun.returnTo, 303);
    } catch (error) {
      onLogin('failed');
      throw error;
    }
  });

  app.get('/auth/session', async (request, reply) => {
    const session = guard.sessionOf(request);
    if (session === null) throw new Problem('unauthorized', 'Nobody is logged in.', { headers: { 'www-authenticate': 'Bearer' } });
    return reply.send({ subject: session.subject, name: session.name, csrfToken: session.csrfToken });
  });

  app.post('/auth/logout', async (request, reply) => {
    const session = guard.sessionOf(request);
    // Not cleared before that: another site could log people out.
    if (session === null) return reply.send({ location: '/' });
    requireOwnPage(request, { publicUrl, csrfToken: session.csrfToken });
    cookies.clearSession(reply);
    sessions.end(session);
    return reply.send({ location: (await provider.endLogin(session.tokens)) ?? '/' });
  });
}

/** What a person sees of it. The text is ours: nothing of the request is in it. */
function failedPage(why: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Login failed</title>
<link rel="stylesheet" href="/assets/page.css"></head><body><main class="message"><h1>The login has failed</h1><p>${why}</p>
<p><a href="/auth/login">Log in again</a></p></main></body></html>
`;
}

function notBegunHere(): Problem {
  return new Problem('login-failed', 'This login was not begun in this browser, or too long ago. Begin again.');
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
