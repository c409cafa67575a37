import { pino, type Logger as PinoLogger, type LoggerOptions } from 'pino';
import { maskUrls } from './config/mask.ts';
import { visible } from './cli/visible.ts';

/** Structured logs; the type every folder takes, so that nobody imports pino for it. */
export type Logger = PinoLogger;

const secretNames = ['password', 'secret', 'maskSecret', 'token', 'authorization', 'sasl'];
/** Paths that are masked wherever an object is logged, an error's own members too. */
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/**
 * A pino logger that writes JSON lines to standard error (standard output belongs to results), masks secrets, and takes its level
 * from `LOG_LEVEL` (default `info`). A terminal gets pino-pretty.
 */
export function createLogger(name: string, level: string = process.env['LOG_LEVEL'] ?? 'info'): Logger {
  if (process.stderr.isTTY) {
    return pino({
      ...logOptions(name, level, { terminal: true }),
      transport: { target: 'pino-pretty', options: { destination: 2, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' } },
    });
  }
  return pino(logOptions(name, level), pino.destination({ dest: 2, sync: true }));
}

/** How lines are written: without secrets, and without what a terminal would obey. */
export function logOptions(name: string, level: string, { terminal = false }: { readonly terminal?: boolean } = {}): LoggerOptions {
  return {
    name,
    level,
    redact: { paths: secretPaths, censor: '***' },
    hooks: { streamWrite: (line) => maskUrls(terminal ? written(line) : visibleJson(line)) },
  };
}

/** JSON leaves some of these characters as they are. */
function visibleJson(line: string): string {
  return `${visible(line.trimEnd())}\n`;
}

/** One escape of JSON, whatever it is: so that the second half of `\\` begins none. */
const jsonEscape = /\\(?:u[0-9a-f]{4}|.)/gi;
const lineOrTab = /^\\(?:[^ubfr]|u000[9a])/i;

/** What is printed as text in the end: JSON's own escapes would become the characters again, so they are escaped once more. */
function written(line: string): string {
  return visibleJson(line).replace(jsonEscape, (found) => (lineOrTab.test(found) ? found : `\\${found}`));
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
