import { channel } from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { after } from 'node:test';

/**
 * Fails a test file whose process does not end by itself because a connection is still open when its tests are over: a client that
 * nobody has closed, or that has connected again after it was closed. Named with the place that opened it.
 */
export function watchOpenSockets(limitMs: number): void {
  const opened = new Map<Socket, string>();
  channel('net.client.socket').subscribe((message) => {
    if (typeof message !== 'object' || message === null || !('socket' in message) || !(message.socket instanceof Socket)) return;
    const { socket } = message;
    opened.set(socket, callers());
    socket.once('close', () => opened.delete(socket));
  });
  // Nobody waits for it: the file's own hooks, which close what its tests share, come after this one.
  after(() => {
    const deadline = setTimeout(() => {
      if (!process.getActiveResourcesInfo().includes('TCPSocketWrap')) return;
      for (const [{ remoteAddress, remotePort }, place] of opened) {
        process.stderr.write(`a connection to ${remoteAddress}:${remotePort} is open ${limitMs} ms after the tests, opened\n${place}\n`);
      }
      // What holds it would hold the process for ever.
      process.exit(1);
    }, limitMs);
    deadline.unref();
  });
}

/** Where a connection was opened, without the frames of Node itself. */
function callers(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 30;
  const stack = new Error('opened').stack ?? '';
  Error.stackTraceLimit = stackTraceLimit;
  return stack
    .split('\n')
    .slice(3)
    .filter((line) => !line.includes('(node:'))
    .join('\n');
}
