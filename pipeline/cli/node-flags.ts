/**
 * How cdc is run, wherever this project starts it (package.json, the image and cli.ts's first line say the same; test/unit/node-flags.test.ts
 * compares). A young generation of 3 x 8 MiB, where Node 24 would take 3 x 32, keeps a load below 250 MiB at the same speed
 * (docs/poller-performance.md).
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=8'];
