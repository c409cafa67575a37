import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { exists } from '#stack/state/file.ts';
import { repositoryRoot } from './house-repository.ts';

const run = promisify(execFile);

/** Where deploy/kubernetes/kubectl puts the pinned one, which CI uses. */
const ownKubectl = join(homedir(), '.cache', 'legacy-cdc-bridge-kubectl', 'kubectl');

/** The pinned kubectl, else one that is installed; it holds kustomize. Null where there is none. */
const kubectl = await findKubectl();

/** Why nothing can be built here, or false. In CI the tests fail instead: .ci/run installs it. */
export const whyNoKustomize =
  kubectl === null && process.env['CI'] !== 'true' ? 'no kubectl here: deploy/kubernetes/kubectl installs the pinned one' : false;

async function findKubectl(): Promise<string | null> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const file of [ownKubectl, ...folders.map((folder) => join(folder, 'kubectl'))]) if (await exists(file)) return file;
  return null;
}

/** The resources that `kubectl kustomize` makes of a folder of deploy/kubernetes. Asks no cluster. @throws what kustomize says */
export async function kustomize(folder: string): Promise<readonly unknown[]> {
  if (kubectl === null) throw new Error('kubectl is missing: run deploy/kubernetes/kubectl');
  const { stdout } = await run(kubectl, ['kustomize', join(repositoryRoot, 'deploy/kubernetes', folder)], { maxBuffer: 16 * 2 ** 20 });
  return parseAllDocuments(stdout).map((document): unknown => document.toJS());
}
