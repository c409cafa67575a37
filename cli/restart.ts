import { execArgv, execPath, execve } from 'node:process';

function restart(): void {
  if (execve === undefined) return;
  execve(execPath, [execPath, ...execArgv, ...process.argv.slice(1)], process.env);
}

/**
 * Starts this program from its beginning when the process ends: the same process, with the same arguments and environment. Whoever watches it,
 * such as a container engine, sees neither an end nor a start. For the case that it should not, gives what takes it back.
 */
export function restartAtExit(): () => void {
  process.on('exit', restart);
  return () => process.off('exit', restart);
}
