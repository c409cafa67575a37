import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Served } from '../../http/server.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};
const files = ['index.html', 'page.css', 'page.js', 'orders.js', 'live.js', 'view.js'] as const;

export const pageServed: Served = { path: /^\/(?:assets\/[\w.-]+)?$/, methods: ['GET'] };

/** A page may load what this gateway serves, and nothing else; nothing written into it runs. */
export const pagePolicy: Readonly<Record<string, readonly string[]>> = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  connectSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

export type PageOptions = {
  /** What the page asks for: where orders are read and changed, whether there is a login. */
  readonly settings: { readonly list: string; readonly change: string | null; readonly login: boolean };
  /** Where a browser must go before it sees the page; null where it may. */
  readonly before: (request: FastifyRequest) => string | null;
};

/** Serves the page from memory. Its files hold no data, so that they need no login; the page at `/` does. */
export async function servePage(app: FastifyInstance, { settings, before }: PageOptions): Promise<void> {
  const texts = await Promise.all(files.map((name) => readFile(join(import.meta.dirname, name), 'utf8')));
  for (const [index, name] of files.entries()) {
    const text = texts[index] ?? '';
    if (name !== 'index.html') app.get(`/assets/${name}`, (request, reply) => send(request, reply, name, text));
    else
      app.get('/', (request, reply) => {
        const first = before(request);
        return first === null ? send(request, reply, name, text) : reply.header('cache-control', 'no-store').redirect(first, 303);
      });
  }
  app.get('/assets/settings.json', (request, reply) => send(request, reply, 'settings.json', JSON.stringify(settings)));
}

function send(request: FastifyRequest, reply: FastifyReply, name: string, text: string): FastifyReply {
  const tag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 16)}"`;
  reply
    .header('etag', tag)
    .header('cache-control', 'no-cache')
    .type(types[extname(name)] ?? 'application/json; charset=utf-8');
  return request.headers['if-none-match'] === tag ? reply.code(304).send() : reply.send(text);
}
