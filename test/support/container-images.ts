import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeError } from '#pipeline/index.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

/** As docker-compose.yml has them. */
const official = {
  CDC_IMAGE_POSTGRES: 'postgres:18.4',
  CDC_IMAGE_KAFKA: 'apache/kafka:4.3.1',
  CDC_IMAGE_REGISTRY: 'apicurio/apicurio-registry-mem:2.6.13.Final',
  CDC_IMAGE_NODE: 'node:24.21.0-bookworm-slim',
  CDC_IMAGE_MAVEN: 'maven:3.9.11-eclipse-temurin-17',
} as const;

/** Built here, from the working tree. */
const own = { CDC_IMAGE_APP: 'legacy-cdc-bridge:test', CDC_IMAGE_CONNECT: 'legacy-cdc-bridge-connect:test' } as const;

export type ContainerImages = Readonly<Record<keyof typeof official | keyof typeof own, string>>;

type Options = { readonly signal: AbortSignal; readonly say: (text: string) => void };

/** Null when a Docker engine with compose answers; else why not, in a few words. */
export async function whyNoContainers(): Promise<string | null> {
  // A socket that a dead engine has left never answers.
  const silence = AbortSignal.timeout(10_000);
  try {
    await docker(['version', '--format', '{{.Server.Version}}'], silence);
  } catch (error) {
    return `no Docker engine answers (${silence.aborted ? 'nothing for 10 s' : lastLine(error)})`;
  }
  return docker(['compose', 'version'], AbortSignal.timeout(10_000)).then(
    () => null,
    () => 'the Docker engine has no compose plugin',
  );
}

/**
 * The images of the tests: those that CDC_IMAGE_… name, else the official ones, else, where nothing can be pulled, stand-ins. The
 * application and Connect are built from the working tree; layers that did not change are reused.
 */
export async function prepareImages(options: Options): Promise<ContainerImages> {
  const bases = await baseImages(options);
  const names = { ...bases, ...own };
  const build = async (name: string, dockerfile: string, args: Readonly<Record<string, string>>): Promise<void> => {
    const buildArgs = Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    await docker(['build', '--quiet', '--file', dockerfile, '--tag', name, ...buildArgs, root], options.signal);
  };
  await Promise.all([
    build(names.CDC_IMAGE_APP, join(root, 'containers/app/Dockerfile'), { NODE_IMAGE: names.CDC_IMAGE_NODE }),
    build(names.CDC_IMAGE_CONNECT, join(root, 'containers/connect/Dockerfile'), {
      KAFKA_IMAGE: names.CDC_IMAGE_KAFKA,
      MAVEN_IMAGE: names.CDC_IMAGE_MAVEN,
    }),
  ]);
  // What earlier runs built has lost its name by now.
  await docker(['image', 'prune', '--force', '--filter', 'label=org.opencontainers.image.title=legacy-cdc-bridge'], options.signal);
  return names;
}

async function baseImages({ signal, say }: Options): Promise<Record<keyof typeof official, string>> {
  const { CDC_IMAGE_POSTGRES, CDC_IMAGE_KAFKA, CDC_IMAGE_REGISTRY, CDC_IMAGE_NODE, CDC_IMAGE_MAVEN } = {
    ...official,
    ...definedOnly(process.env),
  };
  const wanted = { CDC_IMAGE_POSTGRES, CDC_IMAGE_KAFKA, CDC_IMAGE_REGISTRY, CDC_IMAGE_NODE, CDC_IMAGE_MAVEN };
  try {
    for (const name of Object.values(wanted)) await ensurePulled(name, signal);
    return wanted;
  } catch (error) {
    signal.throwIfAborted();
    say(`images cannot be pulled here (${lastLine(error)}): stand-ins take their place`);
  }
  const { stdout, stderr } = await run(join(root, 'containers/stand-ins/build'), { signal, env: environment(), maxBuffer: 1e7 });
  for (const line of stderr.trim().split('\n')) if (line !== '') say(line);
  const built = Object.fromEntries(stdout.trim().split('\n').map(nameAndValue));
  return { ...wanted, ...built };
}

async function ensurePulled(name: string, signal: AbortSignal): Promise<void> {
  const present = await docker(['image', 'inspect', name], signal).then(
    () => true,
    () => false,
  );
  signal.throwIfAborted();
  if (!present) await docker(['pull', '--quiet', name], signal);
}

/** What a program said last is why it failed. */
function lastLine(error: unknown): string {
  return describeError(error).trim().split('\n').at(-1)?.slice(0, 160) ?? '';
}

function nameAndValue(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

function definedOnly(variables: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])),
  );
}

/** Where there is no BuildKit client the classic builder serves. */
function environment(): Record<string, string> {
  return { DOCKER_BUILDKIT: '0', ...definedOnly(process.env) };
}

/** Runs `docker …`; an error carries what it wrote. Aborting ends it. */
export async function docker(args: readonly string[], signal?: AbortSignal): Promise<string> {
  const { stdout } = await run('docker', args, {
    cwd: root,
    env: environment(),
    maxBuffer: 1e7,
    ...(signal === undefined ? {} : { signal }),
  });
  return stdout.trim();
}
