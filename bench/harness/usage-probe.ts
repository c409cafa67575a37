/**
 * Loaded into a measured process (`node --import`): when it ends, it reports what it used, on file descriptor 3. The kernel's own account, so
 * nothing between two samples is missed; all threads and the start are in it.
 */
import { writeSync } from 'node:fs';

process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  writeSync(3, JSON.stringify({ cpuMicros: userCPUTime + systemCPUTime, maxRssKib: maxRSS }));
});
