import type { PassContext } from '../pass-context.ts';
import { isWindow } from '../../position/position.ts';
import type { Pass } from '../../fence/pass.ts';
import { loadPages } from '../../load/load-pages.ts';
import { bytePages } from './byte-pages.ts';
import type { PageReader } from './page.ts';
import { textPages } from './text-pages.ts';

/**
 * The one place that decides how the pages of a pass are read: as bytes where nothing asks for the texts of each row. That is so of a Postgres table with xmin
 * (no view, no query, no window, which goes by the content of its rows), while no row is known to be too large for its topic.
 */
export function pageReader(context: PassContext, pass: Pass, hasRepair: boolean): PageReader {
  const { session, shape, encoder, oversize, logger } = context;
  const { dialect } = session;
  const copyPage = session.copyPage?.bind(session);
  const isFound = oversize.chunkBytes !== null || oversize.found.size > 0;
  const isPlain = shape.hasXmin && shape.query === null && !isWindow(shape.capture);
  if (copyPage === undefined || dialect.bytes === undefined || encoder.bytes === undefined || !isPlain || isFound) {
    logger.debug({ pages: 'texts', isPlain, lookingForLargeRows: isFound }, 'pages are read as texts');
    return textPages(context);
  }
  logger.debug({ pages: 'bytes' }, 'pages are read as bytes');
  const alone = bytePages(context, { copyPage, copyQuery: dialect.bytes.copyQuery, bytes: encoder.bytes });
  const { loadThreads = null } = context;
  return pass.kind !== 'load' || loadThreads === null
    ? alone
    : loadPages({ ...context, loadThreads }, alone, dialect.bytes.endsQuery, hasRepair);
}
