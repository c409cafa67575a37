/** `npm run bench:capacity -- check` checks the model (check.ts); with numbers, or nothing, it polls many tables (tables.ts). */
await import(process.argv[2] === 'check' ? './check.ts' : './tables.ts');
