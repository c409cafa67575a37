import autocannon from 'autocannon';

/** What a load run saw. */
export type LoadSeen = {
  readonly answered: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly byStatus: Readonly<Record<string, number>>;
};

/** A load that runs until it is ended. */
export type RunningLoad = {
  /** How many requests were answered so far. */
  answered(): number;
  end(): Promise<LoadSeen>;
};

/** Asks for the paths in turn, over `connections`, at most so often a second: a test is not to take the machine from the servers that it asks. */
export function startLoad(
  url: string,
  paths: readonly string[],
  options: { readonly connections: number; readonly perSecond: number; readonly headers?: Readonly<Record<string, string>> },
): RunningLoad {
  const byStatus: Record<string, number> = {};
  const ended = Promise.withResolvers<autocannon.Result>();
  const instance = autocannon(
    {
      url,
      requests: paths.map((path) => ({ method: 'GET', path })),
      headers: { ...options.headers },
      connections: options.connections,
      overallRate: options.perSecond,
      // Ended by hand. An answer may take long on a busy machine; one that never comes is a fault.
      duration: 3600,
      timeout: 120,
    },
    (error: unknown, result: autocannon.Result) => {
      if (error === null || error === undefined) ended.resolve(result);
      else ended.reject(error);
    },
  );
  instance.on('response', (_client, status) => {
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  });
  const answered = (): number => Object.values(byStatus).reduce((sum, count) => sum + count, 0);
  return {
    answered,
    async end() {
      instance.stop();
      const { errors, timeouts } = await ended.promise;
      return { answered: answered(), errors, timeouts, byStatus };
    },
  };
}
