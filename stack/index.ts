/**
 * The local runtime: the real servers (two Postgres, Kafka, Kafka Connect with Debezium, on demand MariaDB and a schema registry) as processes, without Docker.
 *
 * Promises: a server counts as started when it answers; ports are free ones and all state lies under one folder, so that stacks run
 * side by side; processes outlive the one that started them and stop from any other, gracefully, and nothing is ever stopped that
 * the stack did not start; a failure names the process and its log.
 *
 * Leaves to others: tables, connectors, topics. It makes roles and databases as a DBA would, and no more.
 */
export { sumsFile, sumsOf } from './servers/java/jar-sums.ts';
export { jarSets, pomsFolder, resolveInto, resolveJars } from './servers/java/jars.ts';
export { requireJava } from './servers/java/java.ts';
export { hasMariadb } from './servers/mariadb-files.ts';
export { startMain, type MainOptions, type MainProcess } from './processes/main-process.ts';
export type { Progress } from './progress.ts';
export { startStack, type StartOptions } from './start-stack.ts';
export { type ProcessRecord, type StackState } from './state/state.ts';
export { stackStatus, type ProcessStatus, type StackStatus } from './status.ts';
export { resetStack, stopStack, type StopOptions } from './stop-stack.ts';
export { formatSeconds, waitFor, type WaitOptions } from './wait-for.ts';
