import { Controller, Get, Inject, NotFoundException, Param, ParseIntPipe, ServiceUnavailableException } from '@nestjs/common';
import pg from 'pg';
import { CdcStrategy } from './cdc.strategy.js';

@Controller()
export class CustomersController {
  constructor(
    @Inject(pg.Pool) private readonly pool: pg.Pool,
    @Inject(CdcStrategy) private readonly changes: CdcStrategy<never>,
  ) {}

  @Get('customers/:id')
  async customer(@Param('id', ParseIntPipe) id: number): Promise<{ readonly customer: number; readonly orders: number }> {
    const { rows } = await this.pool.query<{ orders: string }>('SELECT orders FROM customers WHERE customer_id = $1', [id]);
    const [row] = rows;
    if (row === undefined) throw new NotFoundException(`no orders of customer ${id}`);
    return { customer: id, orders: Number(row.orders) };
  }

  /** The process works. What it has may be old all the same: that is `freshness`. */
  @Get('livez')
  live(): string {
    return 'ok';
  }

  @Get('readyz')
  async ready(): Promise<unknown> {
    const { consumer } = this.changes;
    if (consumer === null) throw new ServiceUnavailableException('it has not joined its group yet');
    const { state, partitions } = await consumer.status();
    const halted = partitions.filter((partition) => partition.halted !== null).map(({ topic, partition }) => `${topic}/${partition}`);
    if (state !== 'consuming' || halted.length > 0) throw new ServiceUnavailableException({ state, halted });
    return { state, freshness: await consumer.freshness() };
  }
}
