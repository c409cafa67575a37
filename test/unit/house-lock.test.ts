import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { repositoryRoot } from '#test/support/house-repository.ts';

const locked = z.object({
  packages: z.record(z.string(), z.object({ optionalDependencies: z.record(z.string(), z.string()).optional() })),
});

test('package-lock.json holds the packages of every platform', () => {
  // npm install leaves out of the lock what the registry at hand does not have, and npm ci then refuses the lock. The remedy is an
  // older version of the tool, of which the registry has all platforms.
  const { packages } = locked.parse(JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')));
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !Object.keys(packages).some((place) => place.endsWith(`node_modules/${name}`)));
  assert.deepEqual(missing, []);
});
