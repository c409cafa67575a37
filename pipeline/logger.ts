import { pino, type Logger as PinoLogger } from 'pino';

/** Structured logs; the type every folder takes, so that nobody imports pino for it. */
export type Logger = PinoLogger;

/** Paths that are masked wherever an object is logged. */
const secretPaths = ['password', '*.password', '*.*.password', 'sasl', '*.sasl', '*.*.sasl'];

/**
 * A pino logger that writes JSON lines to standard error (standard output belongs to results), masks secrets, and takes its level
 * from `LOG_LEVEL` (default `info`). A terminal gets pino-pretty.
 */
export function createLogger(name: string, level: string = process.env['LOG_LEVEL'] ?? 'info'): Logger {
  const options = { name, level, redact: { paths: secretPaths, censor: '***' } };
  if (process.stderr.isTTY) {
    return pino({
      ...options,
      transport: { target: 'pino-pretty', options: { destination: 2, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' } },
    });
  }
  return pino(options, pino.destination({ dest: 2, sync: true }));
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
