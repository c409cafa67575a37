import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { loginSeconds } from './sealed.ts';

/** The gateway's cookies: HttpOnly, for this host alone, not sent with writes of other sites. */
export type Cookies = {
  session(request: FastifyRequest): string | undefined;
  setSession(reply: FastifyReply, id: string): void;
  clearSession(reply: FastifyReply): void;
  login(request: FastifyRequest): string | undefined;
  setLogin(reply: FastifyReply, sealed: string): void;
  clearLogin(reply: FastifyReply): void;
};

/** Over TLS with the prefix `__Host-`: a browser then takes them from this host alone, and over TLS alone. */
export function gatewayCookies(publicUrl: string): Cookies {
  const secure = publicUrl.startsWith('https:');
  const [session, login] = ['cdc_session', 'cdc_login'].map((name) => (secure ? `__Host-${name}` : name));
  if (session === undefined || login === undefined) throw new TypeError('no names');
  const options: CookieSerializeOptions = { path: '/', httpOnly: true, sameSite: 'lax', secure };
  return {
    session: (request) => request.cookies[session],
    setSession: (reply, id) => void reply.setCookie(session, id, options),
    clearSession: (reply) => void reply.clearCookie(session, options),
    login: (request) => request.cookies[login],
    setLogin: (reply, sealed) => void reply.setCookie(login, sealed, { ...options, maxAge: loginSeconds }),
    clearLogin: (reply) => void reply.clearCookie(login, options),
  };
}
