import { describeError } from '#pipeline/index.ts';

type Command = (args: readonly string[], until: AbortSignal) => Promise<string>;

/** Of each service that moves data, how many lines. */
const lines = 12;
/** What Kafka's clients repeat many times a second while a broker is away, and the lines of stack traces. */
const noise = /NetworkClient|FetchSessionHandler|\|\s+at |\| java\.net\.|DisconnectException$/;

/** How a compose project is and what its services said last, for the failure of a test. Never fails itself. */
export async function lastWords(project: { readonly compose: Command; readonly cdc: Command }, until: AbortSignal): Promise<string> {
  const logs = async (service: string): Promise<string> => {
    const all = (await project.compose(['logs', '--no-color', '--no-log-prefix', '--tail', '5000', service], until)).split('\n');
    const informative = service === 'connect' ? all.filter((line) => / (?:ERROR|WARN|FATAL) /.test(line)) : all;
    return informative
      .filter((line) => !noise.test(line))
      .slice(-lines)
      .map((line) => line.slice(0, 400))
      .join('\n');
  };
  const services = ['guard', 'connect', 'poller', 'read-model'];
  const parts = await Promise.all([
    said('services', project.compose(['ps', '--all', '--format', '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}'], until)),
    said('connectors status', project.cdc(['connectors', 'status'], until)),
    said('read-model status', project.cdc(['read-model', 'status'], until)),
    ...services.map((service) => said(`${service} said last`, logs(service))),
  ]);
  return parts.join('\n');
}

async function said(title: string, work: Promise<string>): Promise<string> {
  return `--- ${title}\n${(await work.catch((error: unknown) => describeError(error))).trim()}`;
}
