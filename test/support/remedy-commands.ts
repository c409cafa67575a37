import assert from 'node:assert/strict';
import type { PipelineConfig } from '#pipeline/index.ts';
import { cdcReadModel } from './terminal.ts';

/** Runs every `cdc read-model …` command that a remedy names, word for word and in its order. */
export async function executeCommands(config: PipelineConfig, remedy: string): Promise<void> {
  const commands = [...remedy.matchAll(/cdc read-model (?<words>[a-z-]+(?: --?[\w-]+(?: (?!and\b)[a-z_]+(?=[ :,.]| --))?)*)/g)];
  assert.ok(commands.length > 0, remedy);
  for (const { groups } of commands) await cdcReadModel(config, ...(groups?.['words'] ?? '').split(' '));
}
