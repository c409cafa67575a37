import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { OrdersConfig } from '#pipeline/index.ts';
import { problemsOf, problemType, problemUri, type ProblemKind } from '../../http/problems.ts';
import { orderBodies, orderId } from '../commands/order-body.ts';
import { scope } from './commands.ts';

/** The OpenAPI document of the order service. Pure: made of the schemas by which bodies are checked. */

type Json = Readonly<Record<string, unknown>>;
type Asked = Pick<OrdersConfig, 'auth' | 'maxItems' | 'requireIfMatch'>;

const item = { product_id: '1', quantity: 2, unit_price: '19.90' };
const examples = {
  post: { customer_id: '1', note: 'leave it at the door', items: [item] },
  put: { customer_id: '1', status: 'paid', items: [item] },
  patch: { status: 'shipped', note: null },
} as const;

const always: readonly ProblemKind[] = [
  'bad-request',
  'request-timeout',
  'too-many-requests',
  'headers-too-large',
  'internal',
  'legacy-unavailable',
];
const withToken: readonly ProblemKind[] = ['unauthorized', 'forbidden', 'keys-unavailable'];
const withBody: readonly ProblemKind[] = [
  'request-too-large',
  'unsupported-media-type',
  'body-invalid',
  'reference-unknown',
  'price-unavailable',
  'forbidden',
];
const ofCommand: readonly ProblemKind[] = ['command-running', 'conflict', 'idempotency-key-reused'];
const ofOne: readonly ProblemKind[] = ['not-found'];
const ofChange: readonly ProblemKind[] = ['not-found', 'precondition-failed'];

export function orderServiceDocument({ auth, maxItems, requireIfMatch }: Asked): Json {
  const secured = auth === 'jwt';
  const bodies = orderBodies(maxItems);
  const general = [...always, ...(secured ? withToken : [])];
  const change: readonly ProblemKind[] = [...ofChange, ...(requireIfMatch ? (['precondition-required'] as const) : [])];
  const body = (name: 'post' | 'put' | 'patch', types: readonly string[]): Json => ({
    required: true,
    content: Object.fromEntries(types.map((type) => [type, { schema: reference(`schemas/${name}`), example: examples[name] }])),
  });
  const responses = (good: Json, kinds: readonly ProblemKind[]): Json => ({ ...good, ...problemResponses([...general, ...kinds]) });
  const id = { name: 'id', in: 'path', required: true, schema: schemaOf(orderId), example: '1' };
  const idempotencyKey = header(
    'Idempotency-Key',
    'Any text of your own, new for each command. The same key again gives the same answer, and nothing is done twice.',
  );
  const ifMatch = { ...header('If-Match', 'The ETag of the order that you have seen. Another one: 412.'), required: requireIfMatch };
  const changed = (description: string): Json => ({
    '200': { description, headers: { ...position, ...etag, ...replayed }, content: orderContent },
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Order service',
      version: '1',
      description:
        'Commands on orders of the legacy system. Min-Position of an answer, sent to the query API, reads your own write. Ids and money are strings.',
    },
    ...(secured ? { security: [{ bearer: [scope] }] } : {}),
    paths: {
      '/v1/orders': {
        post: {
          operationId: 'place-order',
          summary: 'Place an order',
          parameters: [idempotencyKey],
          requestBody: body('post', ['application/json']),
          responses: responses(
            {
              '201': {
                description: 'The order, as it is now in the legacy system.',
                headers: { ...position, ...etag, ...replayed, location: { schema: { type: 'string' } } },
                content: orderContent,
              },
            },
            [...withBody, ...ofCommand],
          ),
        },
      },
      '/v1/orders/{id}': {
        parameters: [id],
        get: {
          operationId: 'get-order',
          summary: 'An order as the legacy system has it now',
          description: 'For who wants to change it. To read orders, ask the query API.',
          responses: responses({ '200': { description: 'The order.', headers: etag, content: orderContent } }, ofOne),
        },
        put: {
          operationId: 'replace-order',
          summary: 'Replace an order',
          description: 'What is left out is reset to its default.',
          parameters: [ifMatch, idempotencyKey],
          requestBody: body('put', ['application/json']),
          responses: responses(changed('The order, replaced.'), [...withBody, ...ofCommand, ...change]),
        },
        patch: {
          operationId: 'change-order',
          summary: 'Change some fields of an order',
          description: 'A JSON merge patch (RFC 7396): what is left out stays, null resets.',
          parameters: [ifMatch, idempotencyKey],
          requestBody: body('patch', ['application/merge-patch+json', 'application/json']),
          responses: responses(changed('The order, changed.'), [...withBody, ...ofCommand, ...change]),
        },
        delete: {
          operationId: 'delete-order',
          summary: 'Delete an order and its items',
          parameters: [ifMatch, idempotencyKey],
          responses: responses({ '204': { description: 'It is deleted.', headers: { ...position, ...replayed } } }, [
            ...ofCommand,
            ...change,
          ]),
        },
      },
    },
    components: {
      schemas: {
        Order: order,
        Problem: problem,
        ...Object.fromEntries(Object.entries(bodies).map(([name, schema]) => [name, schemaOf(schema)])),
      },
      responses: {
        Problem: {
          description: 'A problem document (RFC 9457).',
          content: { [problemType.split(';', 1)[0] ?? '']: { schema: reference('schemas/Problem') } },
        },
      },
      ...(secured ? { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } } : {}),
    },
  };
}

const position = {
  'min-position': {
    description: 'To be sent to the query API as Min-Position: it then answers with this command in it.',
    schema: { type: 'string' },
  },
};
const etag = { etag: { description: 'Of this order as it is. To be sent as If-Match.', schema: { type: 'string' } } };
const replayed = {
  'idempotency-replayed': { description: 'true: the answer of an earlier time.', schema: { type: 'string' } },
};
const orderContent = { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } };

const text = { type: 'string' };
const time = { type: 'string', format: 'date-time' };
const order: Json = {
  type: 'object',
  required: ['id', 'customer_id', 'status', 'note', 'placed_at', 'updated_at', 'items'],
  additionalProperties: false,
  properties: {
    id: text,
    customer_id: text,
    status: text,
    note: { type: ['string', 'null'] },
    placed_at: time,
    updated_at: time,
    items: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'product_id', 'quantity', 'unit_price', 'updated_at'],
        additionalProperties: false,
        properties: { id: text, product_id: text, quantity: { type: 'integer' }, unit_price: text, updated_at: time },
      },
    },
  },
};

const problem: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: {
      type: 'string',
      format: 'uri',
      enum: problemsOf(new Set([...always, ...withToken, ...withBody, ...ofCommand, ...ofChange, 'precondition-required'])).map(
        ({ kind }) => problemUri(kind),
      ),
    },
    title: text,
    status: { type: 'integer' },
    detail: text,
    errors: {
      type: 'array',
      description: 'With body-invalid: what is wrong, each with a JSON pointer.',
      items: { type: 'object', required: ['pointer', 'detail'], properties: { pointer: text, detail: text } },
    },
  },
};

function problemResponses(kinds: readonly ProblemKind[]): Json {
  const statuses = new Set(problemsOf(new Set(kinds)).map(({ status }) => String(status)));
  return Object.fromEntries([...statuses].map((status) => [status, reference('responses/Problem')]));
}

function header(name: string, description: string): Json {
  return { name, in: 'header', description, schema: { type: 'string' } };
}

function schemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

function reference(path: string): Json {
  return { $ref: `#/components/${path}` };
}

/** Where the document is kept: a test fails when it is not this one. */
export const orderServiceDocumentFile = join(import.meta.dirname, '..', '..', '..', 'docs', 'reference', 'order-service.openapi.json');
/** Of the defaults, with login. */
export const referenceSettings: Asked = { auth: 'jwt', maxItems: 100, requireIfMatch: false };

if (import.meta.main) writeFileSync(orderServiceDocumentFile, `${JSON.stringify(orderServiceDocument(referenceSettings), null, 2)}\n`);
