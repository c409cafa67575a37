import type { FastifyReply, FastifyRequest } from 'fastify';
import { describeError, type Logger } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import type { Cookies } from './cookies.ts';
import { requireOwnPage } from './csrf.ts';
import type { IdentityProvider } from './provider.ts';
import type { AccessToken, Audience, Session, Sessions } from './sessions.ts';

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
   * Gives a request its session's access token for an audience, which is good for a while yet. A request with a token of its own is not touched: the service
   * checks it.
   *
   * @throws Problem unauthorized, cross-site, login-unavailable, token-unavailable
   */
  admit(request: FastifyRequest, reply: FastifyReply, audience: Audience): Promise<void>;
};

export function createGuard({ sessions, cookies, provider, publicUrl, refreshBeforeMs, logger, onRefresh }: GuardOptions): Guard {
  const sessionOf = (request: FastifyRequest): Session | null => sessions.find(cookies.session(request));
  const renew = async (session: Session, audience: Audience): Promise<void> => {
    const answer = await provider.refresh(session.tokens, audience);
    if (answer === null) {
      onRefresh('ended');
      return;
    }
    session.tokens = answer.tokens;
    if (answer.refused !== null) throw answer.refused;
    onRefresh('renewed');
  };
  /** One after another: a refresh token is good for one use. */
  const renewInTurn = (session: Session, audience: Audience): Promise<void> => {
    const running = session.renewing.get(audience);
    if (running !== undefined) return running;
    const before = [...session.renewing.values()];
    const renewal = (async () => {
      await Promise.allSettled(before);
      await renew(session, audience);
    })().finally(() => session.renewing.delete(audience));
    session.renewing.set(audience, renewal);
    return renewal;
  };
  const keepFresh = async (session: Session, audience: Audience): Promise<void> => {
    const access = session.tokens.access.get(audience);
    // Where tokens live for a short time only, not each request renews them.
    if (access !== undefined && !isOver(access, Math.min(refreshBeforeMs, access.livesMs / 2))) return;
    try {
      await renewInTurn(session, audience);
    } catch (error) {
      onRefresh('unavailable');
      if (isOver(access, 0)) throw error;
      logger.warn({ reason: describeError(error) }, 'tokens could not be renewed: the old ones are good for a while');
    }
  };
  return {
    sessionOf,
    async admit(request, reply, audience) {
      if (request.headers.authorization !== undefined) return;
      const session = sessionOf(request);
      if (session === null) throw unauthorized();
      requireOwnPage(request, { publicUrl, csrfToken: session.csrfToken });
      await keepFresh(session, audience);
      const access = session.tokens.access.get(audience);
      // A token that is good still is used to its end.
      if (access === undefined || isOver(access, 0)) {
        sessions.end(session);
        cookies.clearSession(reply);
        throw unauthorized();
      }
      request.accessToken = access.token;
      const end = (): void => void reply.raw.destroy();
      session.open.add(end);
      reply.raw.once('close', () => session.open.delete(end));
    },
  };
}

function isOver(access: AccessToken | undefined, withinMs: number): boolean {
  return access === undefined || access.expiresAt - Date.now() <= withinMs;
}

function unauthorized(): Problem {
  const detail = 'Nobody is logged in. People begin at /auth/login; programs send Authorization: Bearer and a token.';
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': 'Bearer' } });
}
