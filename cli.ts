#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * cdc: one program for the whole pipeline. This file only wires: each folder brings its own commands. Exit codes: 0 done; 1 the answer is
 * bad news (a status that is not well, errors of doctor); 2 there is a difference (connectors plan), or doctor has warnings or unknowns;
 * 64-78 an error of the catalogue, as docs/reference/errors.md lists them; 130 interrupted.
 */
import module from 'node:module';

await import('./cli/node-22.ts');
// Kept in the system's folder for temporary files (NODE_COMPILE_CACHE names another): the next start neither strips nor compiles. It serves
// only what is imported after it.
module.enableCompileCache();
const { answerWithOverview, commandAskedFor } = await import('./cli/overview.ts');
const args = process.argv.slice(2);
const asked = commandAskedFor(args);
if (asked === null) await answerWithOverview(args);
else await (await import('./cli/program.ts')).runCommand(asked);
