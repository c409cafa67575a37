import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { answersAt } from '../answers-at.ts';
import { javaFlags, serverEnvironment } from './java/java.ts';
import { confluentApi, host } from '../roles-and-variables.ts';
import type { ServerSpec } from '../processes/server-process.ts';

const version = '2.6.13.Final';

export type RegistryOptions = {
  readonly name: string;
  readonly port: number;
  /** Made when it is not there. */
  readonly dataFolder: string;
  readonly runtime: (signal: AbortSignal) => Promise<{
    readonly java: string;
    /** The folder of the unpacked registry. */
    readonly files: string;
  }>;
};

/** An Apicurio registry that listens on the loopback only and keeps schemas, their ids and compatibility levels in a file of H2. */
export function registryServer({ name, port, dataFolder, runtime }: RegistryOptions): ServerSpec {
  const url = `http://${host}:${port}`;
  return {
    name,
    address: `${url}${confluentApi}`,
    launch: async (signal) => {
      const { java, files } = await runtime(signal);
      await mkdir(dataFolder, { recursive: true });
      return {
        command: java,
        args: [...javaFlags('256m'), '-jar', join(files, `apicurio-registry-app-${version}-runner.jar`)],
        cwd: dataFolder,
        env: serverEnvironment({
          QUARKUS_HTTP_HOST: host,
          QUARKUS_HTTP_PORT: String(port),
          // By default it forgets everything with its process, and a topic whose ids mean nothing cannot be read. In its working folder,
          // whose name would need escapes in a URL. WRITE_DELAY=0: an id that has been given out is on the disk.
          REGISTRY_DATASOURCE_URL: 'jdbc:h2:file:./registry;WRITE_DELAY=0',
          // 20 and more connections are its default.
          QUARKUS_DATASOURCE_JDBC_INITIAL_SIZE: '2',
          QUARKUS_DATASOURCE_JDBC_MIN_SIZE: '2',
          QUARKUS_DATASOURCE_JDBC_MAX_SIZE: '20',
        }),
      };
    },
    ready: (signal) => answersAt(`${url}/health/ready`, signal),
    stopSignal: 'SIGTERM',
    startLimitMs: 120_000,
    stopLimitMs: 30_000,
  };
}
