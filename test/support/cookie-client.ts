import assert from 'node:assert/strict';

/** What a client got, with its text read. */
export type Got = { readonly status: number; readonly headers: Headers; readonly text: string; readonly url: string };

type Asked = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** A client with cookies, as a browser keeps them for each origin; redirects are followed when asked. */
export type CookieClient = {
  readonly cookies: ReadonlyMap<string, ReadonlyMap<string, string>>;
  setCookie(origin: string, name: string, value: string): void;
  /** One request; no redirect is followed. */
  ask(url: string, asked?: Asked): Promise<Got>;
  /** Follows redirects with GET, as a browser does, until `until` says that the next one is not to be followed. */
  follow(url: string, until?: (next: string) => boolean): Promise<Got & { readonly next: string | null }>;
};

export function cookieClient(): CookieClient {
  const jar = new Map<string, Map<string, string>>();
  const cookiesOf = (origin: string): Map<string, string> => {
    const cookies = jar.get(origin) ?? new Map<string, string>();
    jar.set(origin, cookies);
    return cookies;
  };
  const ask = async (url: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Got> => {
    const { origin } = new URL(url);
    const cookies = cookiesOf(origin);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(/; ?/);
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const isGone = attributes.some((each) => /^(?:max-age=0|expires=Thu, 01 Jan 1970)/i.test(each));
      if (isGone) cookies.delete(name);
      else cookies.set(name, value);
    }
    return { status: response.status, headers: response.headers, text: await response.text(), url };
  };
  return {
    cookies: jar,
    setCookie: (origin, name, value) => void cookiesOf(origin).set(name, value),
    ask,
    async follow(url, until = () => false) {
      let at = url;
      for (let redirects = 0; redirects < 20; redirects += 1) {
        const got = await ask(at);
        const location = got.headers.get('location');
        const next = location === null ? null : new URL(location, at).href;
        if (next === null || until(next)) return { ...got, next };
        at = next;
      }
      assert.fail(`too many redirects at ${at}`);
    },
  };
}
