/**
 * Lets the compiled program run on Node 22: refuses what is older, and adds what 22 lacks of the language (24 has it all). Imported before everything
 * else. Imports nothing that a Node that is too old cannot load.
 */
import { addDisposableStacks } from '#pipeline/disposable-stacks.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

// What @platformatic/kafka runs on; packaging/manifest.ts has the same as `engines`.
const fits = major > 24 || (major === 24 && minor >= 6) || (major === 22 && minor >= 22);

if (!fits) {
  process.stderr.write(
    `error NODE_TOO_OLD: Node 24.6 or newer is needed, or 22.22 or newer of Node 22, and this is Node ${process.versions.node} (${process.execPath}).\n  remedy: Install Node 24, or the newest 22.\n`,
  );
  process.exit(69);
}

addDisposableStacks();
