import assert from 'node:assert/strict';
import { readStackState, type StackState } from '#stack/state/state.ts';
import { watchOpenSockets } from './open-sockets.ts';

/** From the end of a file's tests on; what they share is closed within seconds, on a busy machine within many. */
const socketLimitMs = 60_000;
// Benchmarks use this too.
if (process.argv[1]?.endsWith('.test.ts') === true) watchOpenSockets(socketLimitMs);

let state: Promise<StackState> | undefined;

/**
 * The stack that test/run.ts started (or a developer's own: CDC_TEST_STACK=<folder>) and that all integration tests share. Each test
 * file makes its own databases and topics in it.
 */
export function testStack(): Promise<StackState> {
  state ??= load();
  return state;
}

async function load(): Promise<StackState> {
  const folder = process.env['CDC_TEST_STACK'];
  assert.ok(folder, 'CDC_TEST_STACK is not set: run integration tests with npm run test:integration, which starts the servers');
  const found = await readStackState(folder);
  assert.ok(found, `no stack runs in ${folder}`);
  return found;
}

/** A name that no other test uses: for databases, topics' prefixes, slots, groups. Lower case letters, digits, underscores. */
export function uniqueName(base: string): string {
  return `${base}_${process.pid.toString(36)}${Math.random().toString(36).slice(2, 8)}`;
}
