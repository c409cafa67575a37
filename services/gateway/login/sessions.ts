import { randomBytes } from 'node:crypto';
import type { GatewayConfig } from '#pipeline/index.ts';

/** For one service, or for all that share an audience. */
export type AccessToken = {
  readonly token: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
  /** How long it was good for when it came. */
  readonly livesMs: number;
};

/** Whose token it is: the resource that it was asked for. Null: none was named. */
export type Audience = string | null;

/** Tokens of a person, as the provider gave them. They stay here: a browser has the session's id and nothing else. */
export type Tokens = {
  readonly access: ReadonlyMap<Audience, AccessToken>;
  readonly refreshToken: string | null;
  readonly idToken: string;
};

export type Session = {
  readonly id: string;
  readonly subject: string;
  /** For people. */
  readonly name: string;
  readonly csrfToken: string;
  tokens: Tokens;
  /** While the tokens of an audience are renewed: for all requests of the session together. */
  readonly renewing: Map<Audience, Promise<void>>;
  /** Ends of requests that are open: they end with the session. */
  readonly open: Set<() => void>;
};

/**
 * The sessions of this gateway, in memory: tokens never leave the process, a logout ends a session at once, and parallel requests renew its tokens once. None
 * of that holds for a session that is a cookie. The price: a restart logs everybody out, and several gateways need sticky sessions.
 */
export type Sessions = Disposable & {
  create(who: Pick<Session, 'subject' | 'name' | 'tokens'>): Session;
  /** Null where there is none, or not any more. Finding it is using it. */
  find(id: string | undefined): Session | null;
  end(session: Session): void;
  readonly count: number;
};

type Kept = { readonly session: Session; readonly createdAt: number; usedAt: number };

const sweepMs = 60_000;

export function createSessions({ idleMs, lifetimeMs, most }: GatewayConfig['session'], now: () => number = () => Date.now()): Sessions {
  /** In the order of their use. */
  const kept = new Map<string, Kept>();
  const hasEnded = ({ createdAt, usedAt }: Kept): boolean => now() - usedAt >= idleMs || now() - createdAt >= lifetimeMs;
  const drop = ({ session }: Kept): void => {
    kept.delete(session.id);
    for (const end of session.open) end();
    session.open.clear();
  };
  const sweep = setInterval(
    () => {
      for (const one of kept.values()) if (hasEnded(one)) drop(one);
    },
    Math.min(sweepMs, idleMs),
  ).unref();
  return {
    create(who) {
      const session = {
        ...who,
        id: secret(),
        csrfToken: secret(),
        renewing: new Map<Audience, Promise<void>>(),
        open: new Set<() => void>(),
      };
      kept.set(session.id, { session, createdAt: now(), usedAt: now() });
      for (const one of kept.values()) {
        if (kept.size <= most) break;
        drop(one);
      }
      return session;
    },
    find(id) {
      const one = id === undefined ? undefined : kept.get(id);
      if (one === undefined) return null;
      if (hasEnded(one)) {
        drop(one);
        return null;
      }
      one.usedAt = now();
      kept.delete(one.session.id);
      kept.set(one.session.id, one);
      return one.session;
    },
    end(session) {
      const one = kept.get(session.id);
      if (one !== undefined) drop(one);
    },
    get count() {
      return kept.size;
    },
    [Symbol.dispose]() {
      clearInterval(sweep);
      for (const one of kept.values()) drop(one);
    },
  };
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}
