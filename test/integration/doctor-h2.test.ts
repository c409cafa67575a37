import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import getPort from 'get-port';
import { examine } from '#doctor/examine.ts';
import { doctorRequest } from '#doctor/request.ts';
import type { Report } from '#doctor/report.ts';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { cdcProcess } from '#test/support/cli-process.ts';
import { briefly, findingOf } from '#test/support/doctor.ts';
import { createH2Scene, whyNoH2, type H2Scene } from '#test/support/h2.ts';

const stamped = 'updated_at timestamp(6) with time zone DEFAULT current_timestamp(6) NOT NULL';

function open(): Promise<H2Scene> {
  return createH2Scene(
    [
      `CREATE TABLE good (id bigint PRIMARY KEY, ${stamped})`,
      'CREATE INDEX by_time ON good (updated_at, id)',
      `CREATE TABLE bare (id bigint PRIMARY KEY, ${stamped})`,
      `CREATE TABLE shapes (id bigint PRIMARY KEY, shape geometry, ${stamped})`,
    ],
    { tables: [{ table: 'good' }] },
  );
}

type Changes = { readonly tables?: readonly object[]; readonly legacyDb?: object };

async function report(config: PipelineConfig, changes: Changes = {}): Promise<Report> {
  const { tables = config.poller?.tables, legacyDb = {} } = changes;
  const changed = pipelineSchema.parse({
    ...config,
    legacyDb: { ...config.legacyDb, ...legacyDb },
    poller: { ...config.poller, tables },
  });
  return examine(await doctorRequest(changed, '.', ['query']));
}

suite('the doctor on an H2', { skip: (await whyNoH2()) ?? false }, () => {
  test('nothing on a healthy table; what the poller would refuse, in its judge’s words; an index that is missing, which its remedy makes', async () => {
    await using scene = await open();
    const { schema, config } = scene;
    assert.deepEqual(briefly(await report(config)), []);
    const all = await report(config, { tables: [{ table: `${schema}.*` }, { table: `${schema}.lost` }, { table: 'nowhere.*' }] });
    assert.deepEqual(briefly(all), [
      `error COLUMN_TYPE_UNKNOWN ${schema}.shapes`,
      `error TABLE_UNKNOWN ${schema}.lost`,
      `warning COLUMN_UNINDEXED ${schema}.bare`,
      `warning COLUMN_UNINDEXED ${schema}.shapes`,
      'warning PATTERN_TAKES_NONE nowhere.*',
    ]);
    const bare = { tables: [{ table: `${schema}.bare` }] };
    await scene.query(findingOf(await report(config, bare), 'COLUMN_UNINDEXED')?.remedy ?? '');
    assert.deepEqual(briefly(await report(config, bare)), []);
  });

  test('a server that is away and a login that is refused are findings; the log, and connectors, are refused by name', async () => {
    await using scene = await open();
    const { config } = scene;
    assert.deepEqual(
      briefly(await report(config, { legacyDb: { port: await getPort() } })).map((line) => line.split(' ', 2).join(' ')),
      ['error LEGACY_DB_UNREACHABLE'],
    );
    const wrong = await report(config, { legacyDb: { roles: { poller: { user: 'cdc_poller', password: 'wrong-secret' } } } });
    assert.deepEqual(briefly(wrong), ['error LEGACY_LOGIN_REFUSED cdc_poller']);
    assert.ok(!JSON.stringify(wrong).includes('wrong-secret'));
    const connect = { url: 'http://127.0.0.1:1', topicPrefix: 'log', connectors: [] };
    const withConnect = pipelineSchema.parse({ ...config, connect });
    await assert.rejects(doctorRequest(withConnect, '.', ['log']), { code: 'DIALECT_UNSUPPORTED', message: /is an H2, which has no log/ });
    await assert.rejects(cdcProcess({ ...config, connect }, 'connectors', 'list'), /DIALECT_UNSUPPORTED.*is an H2/s);
  });
});
