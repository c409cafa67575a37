import * as z from 'zod';

/** What Connect answers, as far as this project reads it. More fields may come with newer versions. */

export const configSchema = z.record(z.string(), z.string());

/** `GET /connectors?expand=info` */
export const connectorsSchema = z.record(z.string(), z.object({ info: z.object({ config: configSchema }) }));

const part = { state: z.string(), worker_id: z.string(), trace: z.string().optional() };

export const statusSchema = z.object({
  name: z.string(),
  type: z.string().optional(),
  connector: z.object(part),
  tasks: z.array(z.object({ id: z.number(), ...part })),
});
export type ConnectorStatus = z.output<typeof statusSchema>;

export const validationSchema = z.object({
  error_count: z.number(),
  configs: z.array(
    z.object({
      definition: z.object({ name: z.string() }),
      // Null for a setting that has neither value nor default: what Connect's own PUT stumbles over.
      value: z.object({ name: z.string(), errors: z.array(z.string()) }).nullable(),
    }),
  ),
});
export type ServerValidation = z.output<typeof validationSchema>;

/** Source offsets as the connector wrote them; Debezium: one partition `{server}` with lsn, txId and, during a snapshot, `snapshot`. */
export const offsetsSchema = z.object({
  offsets: z.array(z.object({ partition: z.record(z.string(), z.unknown()), offset: z.record(z.string(), z.unknown()).nullable() })),
});
export type ConnectorOffsets = z.output<typeof offsetsSchema>['offsets'];

export const pluginsSchema = z.array(z.object({ class: z.string(), type: z.string() }));

export const infoSchema = z.object({ version: z.string(), commit: z.string(), kafka_cluster_id: z.string() });
export type ConnectInfo = z.output<typeof infoSchema>;

export const namesSchema = z.array(z.string());

export const errorSchema = z.object({ error_code: z.number(), message: z.string() });
