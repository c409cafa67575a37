/** The shop, as a program: `node shop.ts place CUSTOMER AMOUNT` prints the order's id, `node shop.ts cancel ID`. See README.md. */
import { Pool } from 'pg';
import { cancelOrder, placeOrder } from './orders.ts';

const pool = new Pool({ connectionString: process.env['SHOP_DATABASE_URL'] });
try {
  const [command, first, amount] = process.argv.slice(2);
  if (command === 'place' && first !== undefined && amount !== undefined)
    process.stdout.write(`${await placeOrder(pool, Number(first), amount)}\n`);
  else if (command === 'cancel' && first !== undefined) await cancelOrder(pool, first);
  else throw new Error('expected: place CUSTOMER AMOUNT, or: cancel ID');
} finally {
  await pool.end();
}
