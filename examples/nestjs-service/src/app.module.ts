import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import { CdcStrategy } from './cdc.strategy.js';
import { CustomersController } from './customers.controller.js';
import { OrdersController, type OrdersChange } from './orders.controller.js';

@Module({
  controllers: [OrdersController, CustomersController],
  providers: [
    { provide: pg.Pool, useFactory: () => new pg.Pool({ connectionString: process.env['DATABASE_URL'] }) },
    {
      provide: CdcStrategy,
      inject: [pg.Pool],
      useFactory: (database: pg.Pool) =>
        new CdcStrategy<{ readonly orders: OrdersChange }>({
          kafka: { brokers: process.env['KAFKA_BROKERS'] ?? 'localhost:9092' },
          group: 'orders-by-customer',
          topics: { orders: process.env['ORDERS_TOPIC'] ?? 'log.public.orders' },
          database,
        }),
    },
  ],
})
export class AppModule implements OnApplicationShutdown {
  constructor(@Inject(pg.Pool) private readonly pool: pg.Pool) {}

  /** Nest closes the transports first: no handler needs the pool any more. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
