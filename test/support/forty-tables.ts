/** Statements of a database; `changed` are what an application does then, each of it visible to a query but for the deletes. */
export type FortyTables = { readonly made: readonly string[]; readonly changed: readonly string[] };

const plain = 31;

/** Forty tables of Postgres as schemas have them: kinds of keys, partitions, types of their own, odd names, with and without a time of their last change. */
export function fortyPostgresTables(): FortyTables {
  const stamped = 'updated_at timestamptz NOT NULL DEFAULT clock_timestamp()';
  const now = 'updated_at = clock_timestamp()';
  const numbers = Array.from({ length: plain }, (_, index) => index);
  return {
    made: [
      "CREATE SCHEMA \"Sales Dept\"; CREATE TYPE mood AS ENUM ('so so', 'good'); CREATE DOMAIN percent AS numeric(5,2);",
      `CREATE TABLE "Sales Dept"."Order Lines" ("Order No" integer, "Line" smallint, price percent, ${stamped}, PRIMARY KEY ("Order No", "Line"));`,
      'CREATE TABLE "Sales Dept"."select" (id bigserial PRIMARY KEY, "from" text, "Last Modified" date, modified_on timestamptz NOT NULL DEFAULT clock_timestamp());',
      `CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), mood mood, tags text[], moods mood[], age int, doubled int GENERATED ALWAYS AS (2 * age) STORED, ${stamped});`,
      `CREATE TABLE parts (id bigint, day date, note text, ${stamped}, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);`,
      "CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
      'CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what jsonb, paid_at timestamptz);',
      'CREATE TABLE countries (code char(2) PRIMARY KEY, name text);',
      'CREATE TABLE scratch (note text);',
      'CREATE TABLE old_times (id serial PRIMARY KEY, lastUpdated timestamp NOT NULL DEFAULT localtimestamp);',
      'CREATE TABLE wide (id bigserial PRIMARY KEY, b bytea, i interval, d double precision, ip inet, r int4range, t time(3), note text);',
      ...numbers.map(
        (index) =>
          `CREATE TABLE t${index} (id bigserial PRIMARY KEY, ref bigint, amount numeric(12,2), note varchar(40), ${stamped}); INSERT INTO t${index} (note, amount) SELECT 'n' || g, g FROM generate_series(1, 20) g;`,
      ),
      `INSERT INTO "Sales Dept"."Order Lines" VALUES (1, 1, 12.5), (1, 2, NULL); INSERT INTO "Sales Dept"."select" ("from") VALUES ('x');
       INSERT INTO people (mood, tags, moods, age) VALUES ('good', '{a,b}', '{good}', 3); INSERT INTO parts VALUES (1, '2026-05-01', 'p');
       INSERT INTO events (what) VALUES ('{}'); INSERT INTO countries VALUES ('DE', 'Germany'); INSERT INTO scratch VALUES ('?'); INSERT INTO old_times DEFAULT VALUES;
       INSERT INTO wide (b, i, d, ip, r, t, note) VALUES ('\\x00ff', '1 mon -2 days', 0.1, '10.0.0.1/8', '[1,5)', '12:00:00.5', 'x');`,
    ],
    changed: [
      ...numbers.map(
        (index) =>
          `UPDATE t${index} SET note = 'changed', ${now} WHERE id < 5; DELETE FROM t${index} WHERE id IN (4, 9); INSERT INTO t${index} (note, amount) VALUES ('new', 0.01);`,
      ),
      `UPDATE "Sales Dept"."Order Lines" SET price = 99.99, ${now} WHERE "Line" = 2; DELETE FROM "Sales Dept"."Order Lines" WHERE "Line" = 1; INSERT INTO "Sales Dept"."Order Lines" VALUES (2, 1, 0);`,
      `UPDATE "Sales Dept"."select" SET "from" = 'y', modified_on = clock_timestamp(); UPDATE people SET age = 4, mood = 'so so', ${now}; INSERT INTO people (age) VALUES (NULL);`,
      `INSERT INTO parts VALUES (2, '2026-06-01', 'q'); UPDATE parts SET note = 'r', ${now} WHERE id = 1; DELETE FROM parts WHERE id = 2;`,
      `INSERT INTO events (what) VALUES ('{"a": [1, null]}'); INSERT INTO countries VALUES ('AT', 'Austria'); UPDATE countries SET name = 'Deutschland' WHERE code = 'DE'; DELETE FROM old_times; INSERT INTO wide (d) VALUES ('-Infinity');`,
    ],
  };
}

/** The same of MariaDB. */
export function fortyMariadbTables(): FortyTables {
  const stamped = 'updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)';
  const numbers = Array.from({ length: plain }, (_, index) => index);
  return {
    made: [
      `CREATE TABLE \`Order Lines\` (\`Order No\` int, \`Line\` smallint, price decimal(5,2), ${stamped}, PRIMARY KEY (\`Order No\`, \`Line\`))`,
      'CREATE TABLE `select` (id bigint AUTO_INCREMENT PRIMARY KEY, `from` text, `Last Modified` date, modified_on datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))',
      `CREATE TABLE people (id char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, mood enum('so so', 'good'), tags set('a', 'b'), facts json, age int, doubled int AS (2 * age) STORED, ${stamped})`,
      `CREATE TABLE parts (id bigint, day date, note text, ${stamped}, PRIMARY KEY (id, day)) PARTITION BY RANGE (YEAR(day)) (PARTITION p25 VALUES LESS THAN (2026), PARTITION p26 VALUES LESS THAN (2027))`,
      'CREATE TABLE events (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, what longtext, paid_at datetime)',
      'CREATE TABLE countries (code char(2) COLLATE utf8mb4_bin PRIMARY KEY, name text)',
      'CREATE TABLE scratch (note text)',
      'CREATE TABLE old_times (id int AUTO_INCREMENT PRIMARY KEY, last_updated timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP)',
      'CREATE TABLE wide (id bigint AUTO_INCREMENT PRIMARY KEY, b varbinary(20), y year, t time(3), d double, bits bit(12), note text)',
      ...numbers.flatMap((index) => [
        `CREATE TABLE t${index} (id bigint AUTO_INCREMENT PRIMARY KEY, ref bigint, amount decimal(12,2), note varchar(40), ${stamped})`,
        `INSERT INTO t${index} (note, amount) SELECT CONCAT('n', seq), seq FROM seq_1_to_20`,
      ]),
      'INSERT INTO `Order Lines` (`Order No`, `Line`, price) VALUES (1, 1, 12.5), (1, 2, NULL)',
      "INSERT INTO `select` (`from`) VALUES ('x')",
      "INSERT INTO people (id, mood, tags, facts, age) VALUES (UUID(), 'good', 'a,b', '{}', 3)",
      "INSERT INTO parts (id, day, note) VALUES (1, '2026-05-01', 'p')",
      "INSERT INTO events (what) VALUES ('{}')",
      "INSERT INTO countries VALUES ('DE', 'Germany')",
      "INSERT INTO scratch VALUES ('?')",
      'INSERT INTO old_times VALUES ()',
      "INSERT INTO wide (b, y, t, d, bits, note) VALUES (x'00ff', 2026, '12:00:00.5', 0.1, b'101', 'x')",
    ],
    changed: [
      ...numbers.flatMap((index) => [
        `UPDATE t${index} SET note = 'changed' WHERE id < 5`,
        `DELETE FROM t${index} WHERE id IN (4, 9)`,
        `INSERT INTO t${index} (note, amount) VALUES ('new', 0.01)`,
      ]),
      'UPDATE `Order Lines` SET price = 99.99 WHERE `Line` = 2',
      'DELETE FROM `Order Lines` WHERE `Line` = 1',
      'INSERT INTO `Order Lines` (`Order No`, `Line`) VALUES (2, 1)',
      "UPDATE `select` SET `from` = 'y'",
      "UPDATE people SET age = 4, mood = 'so so'",
      'INSERT INTO people (id) VALUES (UUID())',
      "INSERT INTO parts (id, day, note) VALUES (2, '2026-06-01', 'q')",
      "UPDATE parts SET note = 'r' WHERE id = 1",
      'DELETE FROM parts WHERE id = 2',
      "INSERT INTO events (what) VALUES ('[1]')",
      "INSERT INTO countries VALUES ('AT', 'Austria')",
      'DELETE FROM old_times',
      'INSERT INTO wide (y) VALUES (1999)',
      // What Debezium does not carry: no difference that counts.
      "INSERT INTO wide (y, t) VALUES (2000, '-01:30:15')",
    ],
  };
}

/** A dozen tables of H2, which has no log: only the query captures them. */
export function dozenH2Tables(): FortyTables {
  const stamped = 'updated_at timestamp(6) with time zone NOT NULL DEFAULT current_timestamp';
  const few = Array.from({ length: 5 }, (_, index) => index);
  return {
    made: [
      `CREATE TABLE "Order Lines" ("Order No" int, "Line" smallint, price decimal(5,2), ${stamped}, PRIMARY KEY ("Order No", "Line"))`,
      'CREATE TABLE "select" (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "from" varchar, modified_on timestamp(3) with time zone NOT NULL DEFAULT current_timestamp)',
      `CREATE TABLE people (id uuid PRIMARY KEY, mood enum('so so', 'good'), age int, doubled int GENERATED ALWAYS AS (2 * age), ${stamped})`,
      'CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, what text, paid_at timestamp)',
      'CREATE TABLE countries (code char(2) PRIMARY KEY, name varchar)',
      'CREATE TABLE scratch (note varchar)',
      'CREATE TABLE wide (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, b varbinary(20), t time(3), d double precision, arr int ARRAY, note varchar)',
      ...few.flatMap((index) => [
        `CREATE TABLE t${index} (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, amount decimal(12,2), note varchar(40), ${stamped})`,
        `INSERT INTO t${index} (note, amount) SELECT 'n' || "X", "X" FROM system_range(1, 20)`,
      ]),
      'INSERT INTO "Order Lines" ("Order No", "Line", price) VALUES (1, 1, 12.5), (1, 2, NULL)',
      'INSERT INTO "select" ("from") VALUES (\'x\')',
      "INSERT INTO people (id, mood, age) VALUES (random_uuid(), 'good', 3)",
      "INSERT INTO events (what) VALUES ('{}')",
      "INSERT INTO countries VALUES ('DE', 'Germany')",
      "INSERT INTO scratch VALUES ('?')",
      "INSERT INTO wide (b, t, d, arr, note) VALUES (x'00ff', '12:00:00.5', 0.1, ARRAY[1, 2], 'x')",
    ],
    changed: [
      ...few.flatMap((index) => [
        `UPDATE t${index} SET note = 'changed', updated_at = current_timestamp WHERE id < 5`,
        `DELETE FROM t${index} WHERE id IN (4, 9)`,
        `INSERT INTO t${index} (note, amount) VALUES ('new', 0.01)`,
      ]),
      'UPDATE "Order Lines" SET price = 99.99, updated_at = current_timestamp WHERE "Line" = 2',
      'DELETE FROM "Order Lines" WHERE "Line" = 1',
      'INSERT INTO "Order Lines" ("Order No", "Line") VALUES (2, 1)',
      'UPDATE "select" SET "from" = \'y\', modified_on = current_timestamp',
      "UPDATE people SET age = 4, mood = 'so so', updated_at = current_timestamp",
      'INSERT INTO people (id) VALUES (random_uuid())',
      "INSERT INTO events (what) VALUES ('[1]')",
      "INSERT INTO countries VALUES ('AT', 'Austria')",
      "INSERT INTO wide (note) VALUES ('new')",
    ],
  };
}
