import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { waitFor } from '#stack/index.ts';
import { startCompose, type ComposeProject } from '#test/support/compose.ts';
import { docker } from '#test/support/container-images.ts';

/** The services of the application's own image. */
const ours = new Set(['setup', 'poller', 'guard', 'read-model']);
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
    }),
  ),
});

const avro = ['--env-file', join(import.meta.dirname, '..', '..', 'containers', 'avro.env')];

describe('docker compose', () => {
  const signal = AbortSignal.timeout(440_000);
  let project: ComposeProject;

  before(async () => {
    project = await startCompose({ signal });
  });
  after(() => project[Symbol.asyncDispose]());

  test('up --wait means healthy: every service by its own check, the connector running, both read models fresh, setup done', async () => {
    const lines = (await project.compose('ps', '--all', '--format', '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}')).split('\n');
    assert.deepEqual(lines.toSorted(), [
      'connect running healthy 0',
      'guard running healthy 0',
      'kafka running healthy 0',
      'legacy-db running healthy 0',
      'poller running healthy 0',
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
    assert.equal(Object.keys(services).length, 8);
  });

  test('cdc on this machine works against it: what changes in the legacy database reaches both read models', async () => {
    await project.sql('legacy', "UPDATE customers SET name = 'Grace' WHERE id = 1");
    for (const model of ['query_model', 'log_model']) {
      await waitFor(async () => (await project.sql('read', `SELECT name FROM ${model}.customers WHERE id = 1`))[0] === 'Grace', {
        signal,
        timeoutMs: 60_000,
        describe: `the change in ${model}`,
      });
    }
  });

  test('programs run without root, cannot write to their file system, and end in order on SIGTERM', async () => {
    assert.equal((await project.compose('exec', '-T', 'poller', 'id', '-u')).trim(), '1000');
    await assert.rejects(project.compose('exec', '-T', 'poller', 'touch', '/app/x'), /Read-only file system/);
    const programs = ['poller', 'guard', 'read-model'];
    await project.compose('stop', ...programs);
    const ids = (await project.compose('ps', '--all', '--quiet', ...programs)).split('\n');
    const codes = await Promise.all(ids.map((id) => docker(['inspect', '--format', '{{.State.ExitCode}}', id])));
    assert.deepEqual(codes, ['0', '0', '0']);
  });

  const nightly = process.env['TEST_NIGHTLY'] === '1';
  test('a poller that cannot publish is not healthy, and is again when it can', { skip: !nightly }, async () => {
    await project.compose('up', '--detach', '--wait');
    const becomes = (wanted: string): Promise<true> =>
      waitFor(async () => (await project.compose('ps', '--format', '{{.Health}}', 'poller')) === wanted, {
        signal,
        timeoutMs: 90_000,
        intervalMs: 1000,
        describe: `a poller that is ${wanted}`,
      });
    await project.compose('pause', 'kafka');
    await becomes('unhealthy');
    await project.compose('unpause', 'kafka');
    await becomes('healthy');
  });

  // The guard has been stopped above: it would be the first to start the connector.
  test('a second up adds nothing to the legacy database, and starts a connector again that FAILED for what setup mends', async () => {
    const earlier = await project.sql('legacy', 'SELECT count(*) FROM orders');
    const status = z.object({ tasks: z.array(z.object({ state: z.string() })) });
    const tasks = async (): Promise<string> => {
      const answer = await fetch(`${project.environment['CONNECT_URL'] ?? ''}/connectors/legacy-orders/status`, { signal });
      return status
        .parse(await answer.json())
        .tasks.map(({ state }) => state)
        .join();
    };
    const become = (wanted: string): Promise<true> =>
      waitFor(async () => (await tasks()) === wanted, { signal, timeoutMs: 60_000, describe: `tasks: ${wanted || 'none'}` });
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

  test('told to write Avro, the pipeline goes on where it stands, with a registry and under its health check too', async () => {
    await project.compose(...avro, 'up', '--detach', '--wait');
    await project.sql('legacy', "UPDATE customers SET name = 'Hopper' WHERE id = 1");
    for (const model of ['query_model', 'log_model']) {
      await waitFor(async () => (await project.sql('read', `SELECT name FROM ${model}.customers WHERE id = 1`))[0] === 'Hopper', {
        signal,
        timeoutMs: 60_000,
        describe: `the change in ${model}`,
      });
    }
    const registry = `http://localhost:${project.environment['SCHEMA_REGISTRY_PORT'] ?? ''}/apis/ccompat/v7`;
    for (const prefix of ['query', 'log']) {
      const { status } = await fetch(`${registry}/subjects/${prefix}.public.customers-value/versions/latest`, { signal });
      assert.equal(status, 200, prefix);
    }
  });

  test('down --volumes leaves nothing', async () => {
    await project.compose(...avro, 'down', '--volumes', '--timeout', '30');
    const label = `label=com.docker.compose.project=${project.name}`;
    assert.equal(await docker(['ps', '--all', '--quiet', '--filter', label]), '');
    assert.equal(await docker(['volume', 'ls', '--quiet', '--filter', label]), '');
    assert.equal(await docker(['network', 'ls', '--quiet', '--filter', label]), '');
  });
});
