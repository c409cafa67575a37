import type { Step } from './operation.ts';
import type { Random } from './random.ts';

type Update = Extract<Step, { do: 'update' }>;
type Insert = Extract<Step, { do: 'insert' }>;

const tiers = ['standard', 'silver', 'gold', 'platinum'] as const;
const statuses = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned'] as const;
const firstNames = ['Ada', 'Boris', 'Chloé', 'Dinesh', 'Ewa', 'Zoë', '李'] as const;
const lastNames = ['Novak', "O'Brien", 'Müller', 'Garcia', 'Žižek', 'Lindqvist'] as const;
const things = ['Anvil', 'Bolt', 'Cable', 'Drill', 'Engine', 'Flange ½″'] as const;

/** An update of one column, of any of the three tables, of one of them, or of the same row as another update. */
export function onePatch(random: Random, like?: Update['table'] | Update): Update {
  const table = typeof like === 'object' ? like.table : (like ?? random.oneOf(['orders', 'orders', 'orders', 'customers', 'products']));
  const row = typeof like === 'object' ? like.row : random.fraction();
  switch (table) {
    case 'orders':
      return { do: 'update', table, row, values: { status: random.oneOf(statuses) } };
    case 'customers':
      return { do: 'update', table, row, values: { tier: random.oneOf(tiers) } };
    case 'products':
      return { do: 'update', table, row, values: { price: money(random, 1, 99_999) } };
  }
}

/** A replacement of all that the application may change in a row. */
export function onePut(random: Random): Update {
  const row = random.fraction();
  switch (random.oneOf(['customers', 'products', 'orders'])) {
    case 'customers':
      return { do: 'update', table: 'customers', row, values: customerValues(random) };
    case 'products':
      return { do: 'update', table: 'products', row, values: { ...productValues(random), active: random.chance(0.9) } };
    case 'orders':
      return {
        do: 'update',
        table: 'orders',
        row,
        values: { status: random.oneOf(statuses), note: random.chance(0.5) ? noteText(random) : null },
      };
  }
}

export function newCustomer(random: Random): Insert {
  return { do: 'insert', table: 'customers', values: customerValues(random) };
}

export function newProduct(random: Random): Insert {
  return { do: 'insert', table: 'products', values: productValues(random) };
}

/** What people type: quotes, line breaks, letters of many scripts. */
export function noteText(random: Random): string {
  const hour = random.integer(8, 17);
  return random.oneOf([
    `Deliver before ${hour} o'clock`,
    `"Fragile" – ${hour} boxes`,
    `Call first\nthen ring ${hour} times`,
    `配送 ${hour} 時`,
    `Back door \\ yard ${hour}\t🙂`,
  ]);
}

function customerValues(random: Random): Insert['values'] {
  const first = random.oneOf(firstNames);
  const last = random.oneOf(lastNames);
  return {
    email: `customer-${random.integer(1, 999_999)}@example.com`,
    name: `${first} ${last}`,
    tier: random.oneOf(tiers),
    credit_limit: random.chance(0.8) ? money(random, 0, 5_000_000) : null,
  };
}

function productValues(random: Random): Insert['values'] {
  const number = random.integer(1, 999_999);
  return {
    sku: `NEW-${number}`,
    name: `${random.oneOf(things)} ${number}`,
    description: `Grade ${random.integer(1, 9)}, weight ${random.integer(1, 9999)} g`,
    price: money(random, 1, 99_999),
  };
}

/** An amount in cents as decimal text. */
function money(random: Random, lowCents: number, highCents: number): string {
  const cents = random.integer(lowCents, highCents);
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
}
