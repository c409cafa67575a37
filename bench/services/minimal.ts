/** What somebody would write in an afternoon: fastify and pg, one row by key, nothing else. A process of its own; says its port on standard output. */
import { fastify } from 'fastify';
import { Pool } from 'pg';

const pool = new Pool({ connectionString: process.env['BENCH_DATABASE'], max: Number(process.env['BENCH_CONNECTIONS'] ?? 10) });
const app = fastify();
app.get<{ readonly Params: { readonly id: string } }>('/v1/orders/:id', async (request, reply) => {
  const { rows } = await pool.query<{ readonly row: string }>({
    name: 'by-key',
    text: 'SELECT row_to_json(o)::text AS row FROM model.orders o WHERE id = $1',
    values: [request.params.id],
  });
  const [found] = rows;
  return found === undefined ? reply.code(404).send() : reply.type('application/json').send(found.row);
});
const url = await app.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`${new URL(url).port}\n`);
