/**
 * Loaded into a measured process (`node --import`): when it ends, it reports what it used, on file descriptor 3. The kernel's own account, so
 * nothing between two samples is missed; all threads and the start are in it.
 */
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

// Its threads load this too.
process.on('exit', () => {
  if (!isMainThread) return;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  writeSync(3, JSON.stringify({ cpuMicros: userCPUTime + systemCPUTime, maxRssKib: maxRSS }));
});
