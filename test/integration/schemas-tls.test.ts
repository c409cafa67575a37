import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { schemasCommand } from '#change-events/commands.ts';
import { CdcError, type PipelineConfig } from '#pipeline/index.ts';
import { deleteTopicsOf, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { uniqueName } from '#test/support/stack.ts';
import { cdcReadModel, terminal } from '#test/support/terminal.ts';
import { createTlsFront } from '#test/support/tls-front.ts';

const login = { username: 'berta', password: 'top:secret-ä' };
const otherCa = join(import.meta.dirname, '..', 'fixtures', 'tls', 'other-ca.pem');
const secrets = /top:secret|wrong-secret|YmVydGE6/;

test('a registry behind HTTPS and a login: poller, read model and cdc schemas work with CA and login; each that is missing or wrong is one error', async (t) => {
  const kafka = await testKafka();
  await using front = await createTlsFront((await testRegistryConfig()).url, login);
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE guarded (id bigserial PRIMARY KEY, name text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    INSERT INTO guarded (name) SELECT 'row ' || n FROM generate_series(1, 20) n; GRANT SELECT ON guarded TO cdc_poller;`);
  const name = uniqueName('tls');
  t.after(() => deleteTopicsOf(name));
  const tls = { caFile: front.caFile };
  const right = { url: front.url, ...login, tls };
  const settings = { name, format: 'avro', tables: [{ table: 'public.guarded' }] };
  const base = await testPipelineConfig(database, settings);
  const modelOf = async (schemaRegistry: Readonly<Record<string, unknown>>): Promise<ReadModelFixture> => {
    const model = await createReadModel({ prefix: name, topics: false, schemaRegistry });
    await model.read.query(`
      CREATE TABLE model.guarded (id bigint PRIMARY KEY, name text, updated_at timestamptz, _lsn bigint);
      INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('guarded', 'public', 'guarded')`);
    return model;
  };
  await using model = await modelOf(right);
  const config: PipelineConfig = { ...base, schemaRegistry: model.config.schemaRegistry };

  await t.test('with both', async () => {
    await using poller = startTestPoller(config);
    await Promise.race([untilPublished(kafka, config, database), poller.ended]);
    await poller.stop();
    await using running = await model.start();
    await eventually(
      () => model.read.query('SELECT count(*) FROM model.guarded'),
      ([row]) => row?.['count'] === '20',
    );
    void running;
    const { printed } = await terminal(schemasCommand, config).run('list');
    assert.match(printed, new RegExp(`${name}\\.public\\.guarded-value`));
  });

  const cases = [
    ['no CA', { ...right, tls: undefined }, 'REGISTRY_UNREACHABLE', /self-signed certificate/, /tls/],
    ['another CA', { ...right, tls: { caFile: otherCa } }, 'REGISTRY_UNREACHABLE', /self-signed certificate/, /tls/],
    ['a wrong password', { ...right, password: 'wrong-secret' }, 'REGISTRY_REFUSED', /\(401\)/, /password/],
    ['no login', { url: front.url, tls }, 'REGISTRY_REFUSED', /\(401\)/, /username/],
    ['HTTP where HTTPS is spoken', { ...right, url: front.url.replace('https', 'http') }, 'REGISTRY_UNREACHABLE', /./, /url/],
  ] as const;
  for (const [what, schemaRegistry, code, message, remedy] of cases) {
    await t.test(`${what}: ${code} with address and remedy, no secret`, async () => {
      await using refused = await modelOf(schemaRegistry);
      const wrong: PipelineConfig = { ...config, schemaRegistry: refused.config.schemaRegistry };
      const reported = (error: unknown): boolean => {
        assert.ok(error instanceof CdcError, inspect(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.ok(error.message.includes(new URL(schemaRegistry.url).host), error.message);
        assert.match(error.remedy ?? '', remedy);
        assert.doesNotMatch(inspect(error, { depth: 20 }), secrets);
        return true;
      };
      await assert.rejects(terminal(schemasCommand, wrong).run('list'), reported);
      await using poller = startTestPoller({ ...wrong, kafka: { ...wrong.kafka, whenUnavailable: 'exit' } });
      await assert.rejects(poller.ended, reported);
      await using running = await refused.start();
      const printed = await eventually(
        () => cdcReadModel(refused.config, 'status'),
        (said) => said.includes(code),
      );
      void running;
      assert.match(
        printed,
        new RegExp(`^${name}\\.public\\.guarded/\\d.*: ${code}: .*${schemaRegistry.url}.*\\n {2}remedy: .*${remedy.source}`, 'm'),
      );
      assert.equal(printed.split(code).length, 2, 'reported once');
      assert.doesNotMatch(printed, secrets);
      assert.deepEqual(await refused.read.query('SELECT cause FROM model.parked_events'), []);
    });
  }
});
