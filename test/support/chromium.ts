import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { getuid } from 'node:process';
import { chromium, type Browser } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A real Chromium, without a window. A machine without one fails the test, and says how to get it. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM_PATH'] ?? onPath();
  assert.ok(executablePath, 'no Chromium on this machine: run `apt-get install -y chromium`, or name one in CHROMIUM_PATH');
  // Its sandbox does not start for root.
  return chromium.launch({ executablePath, args: getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

function onPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
