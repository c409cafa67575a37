import assert from 'node:assert/strict';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { decodeChangeEvent } from '#change-events/index.ts';
import { connectKafka, readToEnd, type Kafka } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { startCompose, type ComposeProject } from '#test/support/compose.ts';
import { docker } from '#test/support/container-images.ts';

/** The services of the application's own image. */
const ours = new Set(['setup', 'poller', 'guard', 'read-model', 'query-api', 'order-service', 'gateway']);
const composed = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      mem_limit: z.union([z.string(), z.number()]).optional(),
      pids_limit: z.number().optional(),
      read_only: z.boolean().optional(),
      stop_grace_period: z.string().optional(),
      cap_drop: z.array(z.string()).optional(),
      security_opt: z.array(z.string()).optional(),
      healthcheck: z.unknown().optional(),
      logging: z.object({ options: z.record(z.string(), z.string()).optional() }).optional(),
      pull_policy: z.string().optional(),
    }),
  ),
});

const containers = join(import.meta.dirname, '..', '..', 'containers');
const avro = ['--env-file', join(containers, 'avro.env')];

describe('docker compose', () => {
  const signal = AbortSignal.timeout(30 * 60_000);
  let project: ComposeProject;

  before(async () => {
    project = await startCompose({ signal });
  });
  after(() => project[Symbol.asyncDispose]());

  const secretOf = (name: string): Promise<string> => readFile(join(project.folder, '.secrets', name), 'utf8');
  /** As an editor saves: another file takes the old one's place. */
  const edit = async (file: string, change: (text: string) => string): Promise<void> => {
    const path = join(project.folder, file);
    const old = await readFile(path, 'utf8');
    const text = change(old);
    assert.notEqual(text, old, `nothing to change in ${file}`);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };

  test('up --wait means healthy: every service by its own check, the connector running, both read models fresh, setup done', async () => {
    const lines = (await project.compose('ps', '--all', '--format', '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}')).split('\n');
    assert.deepEqual(lines.toSorted(), [
      'connect running healthy 0',
      'gateway running healthy 0',
      'guard running healthy 0',
      'kafka running healthy 0',
      'legacy-db running healthy 0',
      'order-service running healthy 0',
      'poller running healthy 0',
      'query-api running healthy 0',
      'read-db running healthy 0',
      'read-model running healthy 0',
      'setup exited  0',
    ]);
    assert.match(await project.cdc('connectors', 'status'), /legacy-orders: RUNNING, 1 of 1 tasks RUNNING/);
    assert.doesNotMatch(await project.cdc('read-model', 'status'), /STALE|unknown/);
  });

  test('every service is pinned, limited in memory and processes, stripped of capabilities, has time to end in order, and says by a check whether it is well', async () => {
    const { services } = composed.parse(JSON.parse(await project.compose('config', '--format', 'json')));
    const lacking = Object.entries(services).flatMap(([name, service]) => {
      const { image, mem_limit: memory = 0, pids_limit: processes = 0, cap_drop: dropped = [], security_opt: options = [] } = service;
      return [
        ...(/:(?!latest$)[^/:]+$/.test(image) ? [] : [`${name}: image ${image}`]),
        ...(Number(memory) > 0 ? [] : [`${name}: memory`]),
        ...(processes > 0 ? [] : [`${name}: processes`]),
        ...(dropped.includes('ALL') && options.includes('no-new-privileges:true') ? [] : [`${name}: capabilities`]),
        ...(service.stop_grace_period === undefined ? [`${name}: time to end in order`] : []),
        ...(ours.has(name) && service.read_only !== true ? [`${name}: file system`] : []),
        ...(service.healthcheck === undefined && name !== 'setup' ? [`${name}: health check`] : []),
      ];
    });
    assert.deepEqual(lacking, []);
    assert.equal(Object.keys(services).length, 11);
  });

  test('cdc on this machine works against it: what changes in the legacy database reaches both read models', async () => {
    await project.sql('legacy', "UPDATE customers SET name = 'Grace' WHERE id = 1");
    for (const model of ['query_model', 'log_model']) {
      await waitFor(async () => (await project.sql('read', `SELECT name FROM ${model}.customers WHERE id = 1`))[0] === 'Grace', {
        signal,
        timeoutMs: 300_000,
        describe: `the change in ${model}`,
      });
    }
  });

  test('through the gateway: a command changes an order in the legacy database, and the query API shows it as soon as it is asked for', async () => {
    const gateway = project.environment['GATEWAY_URL'] ?? '';
    assert.match(await (await fetch(`${gateway}/`, { signal })).text(), /<title>/);
    const commanded = await fetch(`${gateway}/v1/orders/1`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'compose' },
      body: JSON.stringify({ status: 'delivered' }),
      signal,
    });
    assert.equal(commanded.status, 200, await commanded.clone().text());
    const position = commanded.headers.get('min-position') ?? '';
    assert.deepEqual(await project.sql('legacy', 'SELECT status FROM orders WHERE id = 1'), ['delivered']);
    const read = await waitFor(
      async () => {
        const answer = await fetch(`${gateway}/v1/orders/1`, { headers: { 'min-position': position }, signal });
        // Heartbeats may be slower than it waits at most.
        return answer.status === 503 ? null : answer;
      },
      { signal, timeoutMs: 300_000, describe: 'the order at its position' },
    );
    assert.equal(read.status, 200);
    assert.equal(read.headers.get('answered-by'), 'read-model');
    assert.match(await read.text(), /"status":"delivered"/);
  });

  test('passwords are in no container’s environment; logs are bounded; our own images are never pulled', async () => {
    const passwords = await Promise.all((await readdir(join(project.folder, '.secrets'))).map((name) => secretOf(name)));
    assert.equal(new Set(passwords).size, 14, 'one for each role, login and client');
    const ids = (await project.compose('ps', '--all', '--quiet')).split('\n');
    const shown = await docker(['inspect', ...ids]);
    for (const password of passwords) assert.ok(!shown.includes(password), 'docker inspect shows a password');
    const { services } = composed.parse(JSON.parse(await project.compose('config', '--format', 'json')));
    for (const [name, { logging, pull_policy: pull }] of Object.entries(services)) {
      assert.notEqual(logging?.options?.['max-size'], undefined, name);
      if (ours.has(name) || name === 'connect') assert.equal(pull, 'never', name);
    }
  });

  test('a table is added by pipeline.yaml and the connector file: the next up hands them to every program, and both strategies capture it', async () => {
    await project.sql('legacy', 'CREATE TABLE notes (id bigint PRIMARY KEY, body text, updated_at timestamptz NOT NULL DEFAULT now())');
    await project.sql('legacy', 'CREATE INDEX ON notes (updated_at, id)');
    await project.sql('legacy', 'GRANT SELECT ON notes TO cdc_poller');
    await edit('pipeline.yaml', (text) =>
      text
        .replace('    - table: public.customers\n', '    - table: public.customers\n    - table: public.notes\n')
        .replaceAll('_model: {', '_model: { staleAfterMs: 20000,'),
    );
    for (const file of ['connectors/legacy-orders.json', 'connectors/legacy-orders-avro.json'])
      await edit(file, (text) => text.replace('"public.customers,', '"public.notes,public.customers,'));
    await project.explained(() => project.compose('up', '--detach', '--wait'));
    const log = await project.compose('logs', '--no-color', '--no-log-prefix', 'setup');
    assert.match(log, /pipeline\.yaml has changed: the programs that run are started again with it/);
    await project.sql('legacy', "INSERT INTO notes (id, body) VALUES (1, 'hello')");
    const { kafka: settings } = await project.config();
    await project.explained(async () => {
      const kafka = connectKafka(settings, silentLogger);
      for (const topic of ['query.public.notes', 'log.public.notes']) {
        await waitFor(async () => (await bodies(kafka, topic)).includes('hello'), {
          signal,
          timeoutMs: 300_000,
          intervalMs: 1000,
          describe: `the row in ${topic}`,
        });
      }
    });
  });

  test('a connector file that captures less than what runs is refused by the next up, which changes nothing', async () => {
    const status = await project.cdc('connectors', 'plan');
    assert.match(status, /no changes/);
    await edit('connectors/legacy-orders.json', (text) => text.replace('"public.notes,', '"'));
    await assert.rejects(project.compose('up', '--detach', '--wait'), /setup.* exit 78|exit(?:ed)?.*78/s);
    assert.match(
      await project.compose('logs', '--no-color', '--no-log-prefix', 'setup'),
      /CONNECTOR_CAPTURES_LESS: connector legacy-orders would no longer capture public\.notes/,
    );
    assert.match(await project.cdc('connectors', 'plan').catch(outputOf), /~ table\.include\.list/, 'the running connector is as it was');
    await edit('connectors/legacy-orders.json', (text) => text.replace('"public.customers,', '"public.notes,public.customers,'));
  });

  test('the health check of the read model says why it is not well', async () => {
    await project.cdc('connectors', 'pause', 'legacy-orders');
    const check = (): Promise<string> =>
      project.compose('exec', '-T', 'read-model', '/app/containers/app/healthy', 'read-model').catch(outputOf);
    await waitFor(async () => /log_model: STALE/.test(await check()), {
      signal,
      timeoutMs: 300_000,
      intervalMs: 1000,
      describe: 'the reason in the health check',
    });
    await project.cdc('connectors', 'resume', 'legacy-orders');
    await waitFor(async () => !/STALE|unknown/.test(await check()), {
      signal,
      timeoutMs: 300_000,
      intervalMs: 1000,
      describe: 'fresh again',
    });
  });

  test('a Kafka that hangs, but whose port takes connections, is not healthy', async () => {
    const id = await project.compose('ps', '--quiet', 'kafka');
    const [, ...check] = z
      .array(z.string())
      .parse(JSON.parse(await docker(['inspect', '--format', '{{json .Config.Healthcheck.Test}}', id])));
    const seconds = ['exec', '-T', 'kafka', 'timeout', '4'];
    await project.compose(...seconds, ...check);
    // From outside: inside, the first process of a container cannot be stopped. Shorter than the broker's own session.
    await project.compose('kill', '--signal', 'STOP', 'kafka');
    try {
      await project.compose(...seconds, 'bash', '-c', '</dev/tcp/127.0.0.1/9092');
      await assert.rejects(project.compose(...seconds, ...check));
    } finally {
      await project.compose('kill', '--signal', 'CONT', 'kafka');
    }
  });

  test('programs run without root, cannot write to their file system, and end in order on SIGTERM', async () => {
    assert.equal((await project.compose('exec', '-T', 'poller', 'id', '-u')).trim(), '1000');
    await assert.rejects(project.compose('exec', '-T', 'poller', 'touch', '/app/x'), /Read-only file system/);
    const programs = ['poller', 'guard', 'read-model', 'query-api', 'order-service', 'gateway'];
    await project.compose('stop', ...programs);
    const ids = (await project.compose('ps', '--all', '--quiet', ...programs)).split('\n');
    const codes = await Promise.all(ids.map((id) => docker(['inspect', '--format', '{{.State.ExitCode}}', id])));
    assert.deepEqual(codes, ['0', '0', '0', '0', '0', '0']);
  });

  const nightly = process.env['TEST_NIGHTLY'] === '1';
  test('a poller that cannot publish is not healthy, and is again when it can', { skip: !nightly }, async () => {
    await project.compose('up', '--detach', '--wait');
    const becomes = (wanted: string): Promise<true> =>
      waitFor(async () => (await project.compose('ps', '--format', '{{.Health}}', 'poller')) === wanted, {
        signal,
        timeoutMs: 300_000,
        intervalMs: 1000,
        describe: `a poller that is ${wanted}`,
      });
    await project.compose('pause', 'kafka');
    await becomes('unhealthy');
    await project.compose('unpause', 'kafka');
    await becomes('healthy');
  });

  // The guard has been stopped above: it would be the first to start the connector.
  test('a second up adds nothing to the legacy database, and starts a connector again that FAILED for a cause that setup removes', async () => {
    const earlier = await project.sql('legacy', 'SELECT count(*) FROM orders');
    const status = z.object({ tasks: z.array(z.object({ state: z.string() })) });
    const tasks = async (): Promise<string> => {
      const { CONNECT_URL: url = '', CONNECT_USERNAME: username = '', CONNECT_PASSWORD_FILE: file = '' } = project.environment;
      const password = await readFile(file, 'utf8');
      const path = `${url}/connectors/legacy-orders/status`;
      assert.equal((await fetch(path, { signal })).status, 401, 'whoever has no login is not answered');
      const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      const answer = await fetch(path, { signal, headers: { authorization } });
      return status
        .parse(await answer.json())
        .tasks.map(({ state }) => state)
        .join();
    };
    const become = (wanted: string): Promise<true> =>
      waitFor(async () => (await tasks()) === wanted, { signal, timeoutMs: 300_000, describe: `tasks: ${wanted || 'none'}` });
    await project.cdc('connectors', 'stop', 'legacy-orders');
    await become('');
    await project.sql('legacy', 'DROP PUBLICATION cdc_publication');
    await project.cdc('connectors', 'resume', 'legacy-orders');
    await become('FAILED');
    const since = new Date().toISOString();
    await project.compose('up', '--detach', '--wait');
    const log = await project.compose('logs', '--no-color', '--no-log-prefix', '--since', since, 'setup');
    assert.match(log, /legacy-orders: no changes, but it had FAILED: restarted; RUNNING, 1 task$/m);
    assert.equal(await tasks(), 'RUNNING');
    assert.deepEqual(await project.sql('legacy', 'SELECT count(*) FROM orders'), earlier);
  });

  test('configured to write Avro, the pipeline goes on from its positions, with a registry and under its health check too', async () => {
    await writeFile(join(project.folder, 'profiles.env'), 'COMPOSE_PROFILES=schema-registry,login\n');
    const login = ['--env-file', join(containers, 'login.env'), '--env-file', join(project.folder, 'profiles.env')];
    await project.explained(() => project.compose(...avro, ...login, 'up', '--detach', '--wait'));
    await project.sql('legacy', "UPDATE customers SET name = 'Hopper' WHERE id = 1");
    for (const model of ['query_model', 'log_model']) {
      await waitFor(async () => (await project.sql('read', `SELECT name FROM ${model}.customers WHERE id = 1`))[0] === 'Hopper', {
        signal,
        timeoutMs: 300_000,
        describe: `the change in ${model}`,
      });
    }
    const registry = `http://localhost:${project.environment['SCHEMA_REGISTRY_PORT'] ?? ''}/apis/ccompat/v7`;
    for (const prefix of ['query', 'log']) {
      const { status } = await fetch(`${registry}/subjects/${prefix}.public.customers-value/versions/latest`, { signal });
      assert.equal(status, 200, prefix);
    }
  });

  test('with the login, nobody reaches the services without a token; the provider’s token is taken, and a person is sent to the provider', async () => {
    const { GATEWAY_URL: gateway = '', IDENTITY_PROVIDER_PORT: port = '' } = project.environment;
    const issuer = `http://localhost:${port}`;
    assert.equal((await fetch(`${gateway}/v1/orders/1`, { signal })).status, 401);
    const { access_token: token } = z.object({ access_token: z.string() }).parse(
      await (
        await fetch(`${issuer}/token`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa(`program:${await secretOf('IDENTITY_PROGRAM_SECRET')}`)}` },
          body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', resource: 'urn:cdc:services' }),
          signal,
        })
      ).json(),
    );
    const read = await fetch(`${gateway}/v1/orders/1`, { headers: { authorization: `Bearer ${token}` }, signal });
    assert.equal(read.status, 200, await read.text());
    // The gateway has found the provider from within its container, and sends the browser to the same address.
    const login = await fetch(`${gateway}/auth/login`, { redirect: 'manual', signal });
    assert.ok(login.headers.get('location')?.startsWith(`${issuer}/auth?`), login.headers.get('location') ?? String(login.status));
  });

  test('down --volumes leaves nothing', async () => {
    await project.compose(...avro, '--profile', '*', 'down', '--volumes', '--timeout', '30');
    const label = `label=com.docker.compose.project=${project.name}`;
    assert.equal(await docker(['ps', '--all', '--quiet', '--filter', label]), '');
    assert.equal(await docker(['volume', 'ls', '--quiet', '--filter', label]), '');
    assert.equal(await docker(['network', 'ls', '--quiet', '--filter', label]), '');
  });
});

/** Of the rows in a topic that may not be there yet. */
async function bodies(kafka: Kafka, topic: string): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  try {
    await readToEnd(kafka, topic, ({ value, offset }, partition) =>
      found.push(decodeChangeEvent(value, { topic, partition, offset: offset.toString() })?.after?.['body']),
    );
  } catch (error) {
    if (!(error instanceof CdcError) || error.code !== 'TOPIC_MISSING') throw error;
  }
  return found;
}

/** What a program wrote that then failed. */
function outputOf(error: unknown): string {
  return error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
}
