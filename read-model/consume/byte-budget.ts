/** Bytes that may be in memory at the same time. */
export type ByteBudget = {
  /**
   * Resolves when `bytes` are free, in the order of the calls, and takes them; gives the way to give them back, once. What is larger than
   * the whole budget is let in alone.
   */
  take(bytes: number): Promise<() => void>;
};

export function byteBudget(limit: number): ByteBudget {
  let taken = 0;
  const waiting: { readonly bytes: number; readonly go: () => void }[] = [];
  const fits = (bytes: number): boolean => taken === 0 || taken + bytes <= limit;
  const admit = (): void => {
    for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
      waiting.shift();
      taken += next.bytes;
      next.go();
    }
  };
  return {
    async take(bytes) {
      const turn = Promise.withResolvers<void>();
      waiting.push({ bytes, go: turn.resolve });
      admit();
      await turn.promise;
      let given = false;
      return () => {
        if (given) return;
        given = true;
        taken -= bytes;
        admit();
      };
    },
  };
}
