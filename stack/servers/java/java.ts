import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CdcError } from '#pipeline/index.ts';
import { hasCode } from '../../state/file.ts';

const run = promisify(execFile);

/** The oldest Java that Kafka 4 and Debezium 3 run on. */
const oldestJava = 17;

/**
 * The `java` to run Kafka with: JAVA_HOME's, else the one on PATH.
 *
 * @throws CdcError JAVA_MISSING when there is none or it is too old
 */
export async function requireJava(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const home = environment['JAVA_HOME'];
  const java = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java');
  let output: string;
  try {
    const { stdout, stderr } = await run(java, ['-version'], { env: environment });
    output = stdout + stderr;
  } catch (error) {
    const what = hasCode(error, 'ENOENT') ? 'was not found' : 'does not run';
    throw new CdcError('JAVA_MISSING', `Java ${oldestJava} or newer is needed to run Kafka, and \`${java}\` ${what}.`, { cause: error });
  }
  const version = parseJavaVersion(output);
  if (version === null || version < oldestJava) {
    const found = version === null ? 'is of an unknown version' : `is Java ${version}`;
    throw new CdcError('JAVA_MISSING', `Java ${oldestJava} or newer is needed to run Kafka, and \`${java}\` ${found}.`);
  }
  return java;
}

/** The feature release in the output of `java -version`: 8 for "1.8.0_392", 17 for "17.0.15", 25 for "25". */
export function parseJavaVersion(output: string): number | null {
  const match = /version "(\d+)(?:\.(\d+))?/.exec(output);
  if (match === null) return null;
  const first = Number(match[1]);
  return first === 1 && match[2] !== undefined ? Number(match[2]) : first;
}

/** How a JVM is run: `small` starts faster and takes less of a laptop; `fast` compiles fully, for benchmarks. */
export type JvmMode = 'small' | 'fast';

/** Flags of a server's JVM; both modes keep it to one thread of garbage collection. */
export function javaFlags(heap: string, mode: JvmMode = 'small'): string[] {
  return [
    `-Xmx${heap}`,
    '-XX:+UseSerialGC',
    ...(mode === 'small' ? ['-XX:TieredStopAtLevel=1'] : []),
    '-XX:+ExitOnOutOfMemoryError',
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    '-Dorg.slf4j.simpleLogger.logFile=System.out',
  ];
}

/** A Java properties file. Values may hold any character. */
export function propertiesFile(properties: Readonly<Record<string, string>>): string {
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${escapeProperty(value)}\n`);
  return lines.join('');
}

/** Java reads such files as Latin-1: everything else is written as UTF-16 units. */
function escapeProperty(value: string): string {
  return value.replaceAll('\\', '\\\\').replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What a server sees of our environment: enough to run, and none of our secrets. */
export function serverEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const passed = ['PATH', 'HOME', 'JAVA_HOME', 'TMPDIR', 'LANG', 'TZ'];
  const own = passed.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(own), ...extra };
}
