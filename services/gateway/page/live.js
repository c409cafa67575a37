/** The live stream of a list, and how fresh its rows are. */

const askEveryMs = 5000;

/**
 * Follows a list. `onNews` gets what belongs together at once: whether all rows before are to be forgotten, the rows that are new or have changed, the keys that
 * have gone. `onState`: live, away (the read model cannot be read: the rows stay as they were), reconnecting, ended.
 */
export function followList(url, { onNews, onState }) {
  const source = new EventSource(url);
  let news = { whole: false, rows: [], gone: [] };
  source.addEventListener('reset', () => {
    news = { whole: true, rows: [], gone: [] };
  });
  source.addEventListener('row', ({ data }) => news.rows.push(JSON.parse(data).row));
  source.addEventListener('gone', ({ data }) => news.gone.push(JSON.parse(data).key));
  source.addEventListener('current', () => {
    onNews(news);
    onState('live');
    news = { whole: false, rows: [], gone: [] };
  });
  source.addEventListener('away', () => onState('away'));
  source.addEventListener('error', () => {
    // What has come in part comes again.
    news = { whole: false, rows: [], gone: [] };
    onState(source.readyState === EventSource.CLOSED ? 'ended' : 'reconnecting');
  });
  return { close: () => source.close() };
}

/** Asks every few seconds how fresh the list is: the stream is silent while nothing changes. `onFreshness` gets null when nobody answers. */
export function followFreshness(url, onFreshness) {
  const ask = async () => {
    try {
      const { ok, status, headers } = await fetch(url, { method: 'HEAD', cache: 'no-store' });
      const staleness = headers.get('staleness-ms');
      onFreshness(
        ok
          ? {
              state: headers.get('freshness') ?? 'unknown',
              asOf: headers.get('as-of'),
              stalenessMs: staleness === null ? null : Number(staleness),
            }
          : { state: 'away', status },
      );
    } catch {
      onFreshness({ state: 'away', status: 0 });
    }
    if (!isOver) timer = setTimeout(ask, askEveryMs);
  };
  let isOver = false;
  let timer = setTimeout(ask, 0);
  const onVisible = () => {
    if (document.visibilityState !== 'visible' || isOver) return;
    clearTimeout(timer);
    void ask();
  };
  document.addEventListener('visibilitychange', onVisible);
  return {
    close() {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    },
  };
}
