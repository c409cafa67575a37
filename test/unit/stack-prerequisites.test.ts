import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { jarCacheFolder, jarSets, pomsFolder, resolveJars } from '#stack/servers/java/jars.ts';
import { parseJavaVersion, propertiesFile, requireJava, serverEnvironment } from '#stack/servers/java/java.ts';
import { relevantLines, startFailure } from '#stack/processes/log-excerpt.ts';
import { requireNode } from '#stack/node-version.ts';
import { noProgress } from '#stack/progress.ts';
import { canEnter } from '#stack/processes/unprivileged-user.ts';
import { waitFor } from '#stack/wait-for.ts';

const signal = AbortSignal.timeout(45_000);

/** A folder with programs of this test's own as the only PATH. */
async function machine(programs: Readonly<Record<string, string>>): Promise<{
  readonly environment: NodeJS.ProcessEnv;
  readonly folder: string;
  [Symbol.asyncDispose]: () => Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-unit-'));
  const bin = join(folder, 'bin');
  await mkdir(bin);
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  return {
    environment: { PATH: bin, CDC_CACHE: join(folder, 'cache') },
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

test('without Java, one sentence says what is missing and for what, and the remedy how to get it', async () => {
  await using bare = await machine({});
  await assert.rejects(requireJava(bare.environment), {
    code: 'JAVA_MISSING',
    message: 'Java 17 or newer is needed to run Kafka, and `java` was not found.',
    remedy: /apt-get install openjdk-17-jre-headless/,
  });
});

test('an old Java, one that does not run, and a JAVA_HOME without one are refused by their names', async () => {
  await using old = await machine({ java: 'echo \'openjdk version "11.0.20" 2023-07-18\' >&2' });
  await assert.rejects(requireJava(old.environment), { code: 'JAVA_MISSING', message: /and `java` is Java 11\.$/ });
  // macOS has a `java` that only says that there is none.
  await using stub = await machine({ java: "echo 'Unable to locate a Java Runtime.' >&2; exit 1" });
  await assert.rejects(requireJava(stub.environment), { code: 'JAVA_MISSING', message: /`java` does not run\.$/ });
  await assert.rejects(requireJava({ ...old.environment, JAVA_HOME: '/no/jdk' }), { message: /`\/no\/jdk\/bin\/java` was not found\.$/ });
});

test('a Java that is new enough is taken', async () => {
  await using fine = await machine({ java: 'echo \'openjdk version "21.0.1" 2023-10-17\' >&2' });
  assert.equal(await requireJava(fine.environment), 'java');
});

test('versions of Java are read in their old and new form', () => {
  const outputs = ['java version "1.8.0_392"', 'openjdk version "17.0.15" 2025-04-15', 'openjdk version "25" 2025-09-16', 'nonsense'];
  assert.deepEqual(outputs.map(parseJavaVersion), [8, 17, 25, null]);
});

test('a Node that is too old is refused', () => {
  assert.throws(() => requireNode('22.18.0'), { code: 'NODE_TOO_OLD', message: /^Node 24 or newer is needed, and this is Node 22\.18\.0/ });
  requireNode('24.0.0');
  requireNode();
});

test('without Maven, one sentence says that it is needed once; nothing stays in the cache', async () => {
  await using bare = await machine({});
  await assert.rejects(resolveJars('kafka', { signal, progress: noProgress, environment: bare.environment }), {
    code: 'MAVEN_MISSING',
    message: 'Maven is needed once, to resolve the jars of kafka, and `mvn` was not found.',
    remedy: /apt-get install maven/,
  });
  assert.deepEqual(await readdir(jarCacheFolder(bare.environment)), []);
});

/** Does as `mvn … -DoutputDirectory=DIR` does, and counts its runs. */
const fakeMaven = `
  for argument in "$@"; do case "$argument" in -DoutputDirectory=*) out="\${argument#*=}";; esac; done
  /bin/mkdir -p "$out"; echo run >> "\${CDC_CACHE}/../runs"; /bin/sleep 0.1; echo jar > "$out/kafka.jar"`;

/** A folder of poms whose kafka consists of one file, with that text. */
async function pomsOf(folder: string, text: string): Promise<string> {
  const poms = join(folder, 'poms');
  await mkdir(join(poms, 'kafka'), { recursive: true });
  await writeFile(join(poms, 'kafka/pom.xml'), '<project/>');
  await writeFile(join(poms, 'kafka/sha256sums'), `${createHash('sha256').update(text).digest('hex')}  kafka.jar\n`);
  return poms;
}

test('two runs side by side resolve the jars once; a later run does not need Maven', async () => {
  await using fresh = await machine({ mvn: fakeMaven });
  const { environment } = fresh;
  const poms = await pomsOf(fresh.folder, 'jar\n');
  const resolve = (): Promise<string> => resolveJars('kafka', { signal, progress: noProgress, environment, poms });
  const [first, second] = await Promise.all([resolve(), resolve()]);
  assert.equal(first, second);
  assert.deepEqual(await readdir(first), ['kafka.jar']);
  assert.equal(await readFile(join(fresh.folder, 'runs'), 'utf8'), 'run\n');
  assert.equal(await resolveJars('kafka', { signal, progress: noProgress, environment: { ...environment, PATH: '/none' }, poms }), first);
  assert.equal((await readdir(jarCacheFolder(environment))).length, 1);
});

test('when Maven fails or is interrupted, its error is reported and the cache holds no half of a folder', async () => {
  await using broken = await machine({ mvn: `${fakeMaven}; echo '[ERROR] Could not transfer artifact from central'; exit 1` });
  const { environment } = broken;
  await assert.rejects(resolveJars('kafka', { signal, progress: noProgress, environment }), {
    code: 'JARS_UNRESOLVED',
    message: /Could not transfer artifact from central/,
  });
  await using slow = await machine({ mvn: `${fakeMaven}; exec /bin/sleep 60` });
  const abort = new AbortController();
  const resolving = resolveJars('kafka', { signal: abort.signal, progress: noProgress, environment: slow.environment });
  const refused = assert.rejects(resolving, /Ctrl-C/);
  // In the middle: Maven has begun to write.
  await waitFor(() => readFile(join(slow.folder, 'runs'), 'utf8').catch(() => null), {
    signal,
    timeoutMs: 120_000,
    describe: 'Maven runs',
  });
  abort.abort(new Error('Ctrl-C'));
  await refused;
  for (const { environment: each } of [broken, slow]) assert.deepEqual(await readdir(jarCacheFolder(each)), []);
});

test('jars that are not those of the list are refused by name, and the cache holds none of them', async () => {
  for (const [what, listed, message] of [
    [
      'another file',
      'what was listed',
      /^what Maven resolved for kafka is not what .*kafka\/sha256sums lists:\n {2}kafka\.jar is another file$/,
    ],
    ['one more, one less', null, /\n {2}kafka\.jar is not in the list\n {2}other\.jar is missing$/],
  ] as const) {
    await using fresh = await machine({ mvn: fakeMaven });
    const poms = await pomsOf(fresh.folder, listed ?? 'jar\n');
    const list = join(poms, 'kafka/sha256sums');
    if (listed === null) await writeFile(list, (await readFile(list, 'utf8')).replace('kafka.jar', 'other.jar'));
    const { environment } = fresh;
    await assert.rejects(
      resolveJars('kafka', { signal, progress: noProgress, environment, poms }),
      {
        code: 'JARS_CHANGED',
        message,
        remedy: /^Do not use the file\. .*npm run sums/,
      },
      what,
    );
    assert.deepEqual(await readdir(jarCacheFolder(environment)), [], what);
  }
});

test('each pom has a list of the sums of its files', async () => {
  for (const set of jarSets)
    assert.match(await readFile(join(pomsFolder, set, 'sha256sums'), 'utf8'), /^(?:[0-9a-f]{64} {2}\S.*\n)+$/, set);
  assert.deepEqual((await readdir(pomsFolder)).filter((name) => name !== 'check').toSorted(), [...jarSets].toSorted());
});

test('the cache lies where CDC_CACHE, XDG_CACHE_HOME or the home folder say', () => {
  assert.equal(jarCacheFolder({ CDC_CACHE: '/c', XDG_CACHE_HOME: '/x' }), '/c');
  assert.equal(jarCacheFolder({ CDC_CACHE: '', XDG_CACHE_HOME: '/x' }), '/x/legacy-cdc-bridge/jars');
  assert.match(jarCacheFolder({}), /\/\.cache\/legacy-cdc-bridge\/jars$/);
});

test('a properties file holds any path', () => {
  assert.equal(propertiesFile({ 'log.dirs': String.raw`/dä ta\x`, a: 'b=c' }), String.raw`log.dirs=/d\u00e4 ta\\x` + '\na=b=c\n');
});

test('servers see enough of our environment to run, and none of our secrets', () => {
  process.env['LEGACY_DB_OWNER_PASSWORD'] = 'secret';
  try {
    const environment = serverEnvironment({ ONE: '1' });
    assert.equal(environment['PATH'], process.env['PATH']);
    assert.equal(environment['ONE'], '1');
    assert.equal('LEGACY_DB_OWNER_PASSWORD' in environment, false);
  } finally {
    delete process.env['LEGACY_DB_OWNER_PASSWORD'];
  }
});

test('of a log the lines are reported that say why: errors, not stack frames; else the last ones', () => {
  const log = ['INFO starting', 'ERROR no disk', '\tat java.io.File', 'java.net.BindException: Address already in use', 'INFO stopping'];
  assert.deepEqual(relevantLines(log), ['ERROR no disk', 'java.net.BindException: Address already in use']);
  assert.deepEqual(relevantLines(['one', '', 'two', 'three'], 2), ['two', 'three']);
  assert.equal(relevantLines([`ERROR ${'x'.repeat(1000)}`])[0]?.length, 301);
});

test('a start that failed for its port is recognised', async () => {
  await using folder = await machine({});
  const log = join(folder.folder, 'kafka.log');
  await writeFile(log, 'FATAL: could not bind: Address already in use');
  assert.equal((await startFailure('kafka ended', log)).code, 'STACK_PORT_TAKEN');
  await writeFile(log, 'FATAL: out of memory');
  const failure = await startFailure('kafka ended', log);
  assert.deepEqual([failure.code, failure.message], ['STACK_START_FAILED', `kafka ended; its log ${log} says:\n  FATAL: out of memory`]);
});

test('a user enters a folder only when every folder on the way lets it', async () => {
  await using closed = await machine({});
  const inner = join(closed.folder, 'inner');
  await mkdir(inner, { mode: 0o755 });
  const nobody = { uid: 65_534, gid: 65_534 };
  assert.equal(await canEnter(inner, nobody), false, 'mkdtemp makes a folder for its owner alone');
  await chmod(closed.folder, 0o711);
  assert.equal(await canEnter(inner, nobody), await canEnter(tmpdir(), nobody));
  await chmod(inner, 0o700);
  assert.equal(await canEnter(inner, nobody), false);
});
