import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { briefly, startDoctorBench, type DoctorBench, type DoctorDatabase } from '#test/support/doctor.ts';

let bench: DoctorBench;

before(async () => {
  bench = await startDoctorBench();
});

after(async () => {
  await bench[Symbol.asyncDispose]();
});

async function reported(db: DoctorDatabase): Promise<readonly string[]> {
  return briefly(await db.examine(['log'], { files: [await db.file()] }));
}

test('a slot that follows to a standby which the connector does not wait for is reported', async () => {
  await using db = await bench.database();
  await db.prepare(await db.file());
  const standby = `standby_${db.name}`;
  const failover = `pg_create_logical_replication_slot('${db.name}', 'pgoutput', failover => true)`;
  await db.run(`SELECT pg_create_physical_replication_slot('${standby}'), ${failover}`);
  try {
    assert.ok((await reported(db)).includes(`warning STANDBY_NOT_AWAITED ${db.name}`));
    await bench.server.restart({ synchronized_standby_slots: standby });
    assert.doesNotMatch((await reported(db)).join(), /STANDBY_NOT_AWAITED/);
  } finally {
    await bench.server.restart({});
    await db.run(`SELECT pg_drop_replication_slot('${standby}')`);
  }
});

test('a standby is reported', async () => {
  await bench.server.restart({}, { standby: true });
  try {
    await using db = bench.existing('legacy');
    assert.ok((await reported(db)).includes(`error SOURCE_IS_STANDBY ${bench.server.host}:${bench.server.port}`));
  } finally {
    await bench.server.restart({});
  }
});
