import { extname } from 'node:path';
import { CdcError } from '#pipeline/index.ts';

/** Compiled, in the installed package, it runs on 22 too. */
const oldestNode = extname(import.meta.filename) === '.js' ? 22 : 24;

/**
 * Refuses a Node that would load these files and fail later, in the middle of the work (22 does).
 *
 * @throws CdcError NODE_TOO_OLD
 */
export function requireNode(version: string = process.versions.node): void {
  if (Number.parseInt(version, 10) >= oldestNode) return;
  throw new CdcError('NODE_TOO_OLD', `Node ${oldestNode} or newer is needed, and this is Node ${version} (${process.execPath}).`);
}
