import { CdcError, type LegacyDbConfig, type OrdersConfig, type PipelineConfig } from '#pipeline/index.ts';

export type OrdersSettings = { readonly orders: OrdersConfig; readonly legacyDb: LegacyDbConfig };

/** @throws CdcError SERVICE_NOT_CONFIGURED, DIALECT_UNSUPPORTED */
export function requireOrders({ services, legacyDb }: PipelineConfig): OrdersSettings {
  const orders = services?.orders;
  if (orders === undefined) throw new CdcError('SERVICE_NOT_CONFIGURED', 'the configuration has no services.orders');
  if (legacyDb.dialect !== undefined && legacyDb.dialect !== 'postgres')
    throw new CdcError('DIALECT_UNSUPPORTED', `the order service writes to a Postgres, and legacyDb.dialect is ${legacyDb.dialect}`);
  return { orders, legacyDb };
}
