/**
 * The rows of the source against those of the mirrors, on the user's own tables, while both change.
 *
 * Promises: reads only, one page of each side at a time; a difference is one that is there at a known position: the row did not change at the source while the
 * model became complete past it. What is not known is called inconclusive. Leaves to others: why a row differs (cdc explain), views, and the comparison of
 * the strategies (comparison/).
 */
export { verifyCommand } from './commands.ts';
