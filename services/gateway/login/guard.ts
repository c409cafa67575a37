import type { FastifyReply, FastifyRequest } from 'fastify';
import { describeError, type Logger } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import type { Cookies } from './cookies.ts';
import { requireOwnPage } from './csrf.ts';
import type { IdentityProvider } from './provider.ts';
import type { Session, Sessions } from './sessions.ts';

export type GuardOptions = {
  readonly sessions: Sessions;
  readonly cookies: Cookies;
  readonly provider: IdentityProvider;
  readonly publicUrl: string;
  readonly refreshBeforeMs: number;
  readonly logger: Logger;
  readonly onRefresh: (outcome: 'renewed' | 'ended' | 'unavailable') => void;
};

/** Decides whose request it is. */
export type Guard = {
  /** The session that the request's cookie names. */
  sessionOf(request: FastifyRequest): Session | null;
  /**
   * Gives a request its session's access token, which is good for a while yet. A request with a token of its own is not touched: the service checks it.
   *
   * @throws Problem unauthorized, cross-site, login-unavailable
   */
  admit(request: FastifyRequest, reply: FastifyReply): Promise<void>;
};

export function createGuard({ sessions, cookies, provider, publicUrl, refreshBeforeMs, logger, onRefresh }: GuardOptions): Guard {
  const sessionOf = (request: FastifyRequest): Session | null => sessions.find(cookies.session(request));
  const renew = async (session: Session): Promise<void> => {
    const tokens = await provider.refresh(session.tokens);
    if (tokens === null) {
      onRefresh('ended');
      // A token that is good still is used to its end.
      if (isOver(session, 0)) sessions.end(session);
      return;
    }
    onRefresh('renewed');
    session.tokens = tokens;
  };
  const keepFresh = async (session: Session): Promise<void> => {
    // Where tokens live for a short time only, not each request renews them.
    if (!isOver(session, Math.min(refreshBeforeMs, session.tokens.accessLivesMs / 2))) return;
    session.renewing ??= renew(session).finally(() => (session.renewing = null));
    try {
      await session.renewing;
    } catch (error) {
      onRefresh('unavailable');
      if (isOver(session, 0)) throw error;
      logger.warn({ reason: describeError(error) }, 'tokens could not be renewed: the old ones are good for a while');
    }
  };
  return {
    sessionOf,
    async admit(request, reply) {
      if (request.headers.authorization !== undefined) return;
      const session = sessionOf(request);
      if (session === null) throw unauthorized();
      requireOwnPage(request, { publicUrl, csrfToken: session.csrfToken });
      await keepFresh(session);
      if (isOver(session, 0)) {
        sessions.end(session);
        cookies.clearSession(reply);
        throw unauthorized();
      }
      request.accessToken = session.tokens.accessToken;
      const end = (): void => void reply.raw.destroy();
      session.open.add(end);
      reply.raw.once('close', () => session.open.delete(end));
    },
  };
}

function isOver({ tokens }: Session, withinMs: number): boolean {
  return tokens.accessExpiresAt - Date.now() <= withinMs;
}

function unauthorized(): Problem {
  const detail = 'Nobody is logged in. People begin at /auth/login; programs send Authorization: Bearer and a token.';
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': 'Bearer' } });
}
