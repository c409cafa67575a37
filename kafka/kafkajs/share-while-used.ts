/**
 * One of what `open` makes for all who use it at about the same time: a thousand producers that begin together need no thousand connections to ask about
 * their topics. It is closed when nobody uses it any more. After a failure whoever comes next gets another.
 *
 * @returns what runs a piece of work with it; it throws what `open` or the work throws
 */
export function shareWhileUsed<R extends AsyncDisposable>(open: () => Promise<R>): <T>(work: (resource: R) => Promise<T>) => Promise<T> {
  let current: { readonly resource: Promise<R>; users: number } | null = null;
  return async (work) => {
    const mine = (current ??= { resource: open(), users: 0 });
    mine.users += 1;
    try {
      return await work(await mine.resource);
    } catch (error) {
      if (current === mine) current = null;
      throw error;
    } finally {
      mine.users -= 1;
      if (mine.users === 0) {
        if (current === mine) current = null;
        await mine.resource.then(
          (resource) => resource[Symbol.asyncDispose](),
          () => undefined,
        );
      }
    }
  };
}
