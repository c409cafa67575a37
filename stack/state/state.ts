import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';

/** What a running local stack is: written to `<stack folder>/stack.json`, read by cdc's commands and by the tests. */
const credentials = z.object({ user: z.string(), password: z.string() });
const server = z.object({ host: z.string(), port: z.number(), superuser: credentials });

export const stackStateSchema = z.object({
  /** The legacy side's server (wal_level=logical) and the read side's. */
  legacyServer: server,
  readServer: server,
  /** Roles that exist in the legacy server, made by the stack as its DBA would. */
  roles: z.object({ owner: credentials, application: credentials, poller: credentials, replicator: credentials }),
  /** The role that owns read-model databases in the read server. */
  readModel: credentials,
  kafka: z.object({ brokers: z.string() }),
  /** Absent when the stack was started without Kafka Connect. */
  connect: z.object({ url: z.string(), username: z.string().optional(), password: z.string().optional() }).optional(),
  /** A legacy server of another make, with roles of its own; present when it was asked for. */
  mariadb: server.extend({ roles: z.object({ owner: credentials, poller: credentials, replicator: credentials }) }).optional(),
  /** The same of H2's make: its server of Postgres' protocol. */
  h2: server.extend({ roles: z.object({ owner: credentials, poller: credentials }) }).optional(),
  /** A schema registry, where its API is Confluent's; present when it was asked for. */
  schemaRegistry: z.object({ url: z.string() }).optional(),
  /** An OpenID provider for the services; present when it was asked for. */
  identityProvider: z
    .object({
      issuer: z.string(),
      /** The resource that clients ask for, and the audience of its tokens. */
      audience: z.string(),
      /** Where the gateway is to listen: a login returns there. */
      gatewayUrl: z.string(),
      gateway: z.object({ clientId: z.string(), secret: z.string() }),
      program: z.object({ clientId: z.string(), secret: z.string() }),
      users: z.array(z.object({ name: z.string(), password: z.string(), scopes: z.array(z.string()) })),
    })
    .optional(),
  /** Variables for pipeline.yaml (LEGACY_DB_HOST, KAFKA_BROKERS …). */
  environment: z.record(z.string(), z.string()),
  /** Present when the servers are containers: their compose project. `processes` then has only our own programs. */
  containers: z.object({ project: z.string() }).optional(),
  processes: z.array(
    z.object({
      name: z.string(),
      pid: z.number(),
      /** Start time as the kernel gives it: a reused pid has another. */
      startedAt: z.string(),
      log: z.string(),
      /** A server of the stack, or one of our own programs that runs on it (stopped before the servers). */
      kind: z.enum(['server', 'main']).optional(),
      /** Where it listens; absent for one that does not. */
      address: z.string().optional(),
    }),
  ),
});

export type StackState = z.output<typeof stackStateSchema>;

/** A process that the stack started. */
export type ProcessRecord = StackState['processes'][number];

/** The state of the stack in `folder`, or null when none was started there. */
export async function readStackState(folder: string): Promise<StackState | null> {
  try {
    return stackStateSchema.parse(JSON.parse(await readFile(join(folder, 'stack.json'), 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
